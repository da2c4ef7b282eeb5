package acl

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a authority) issue(t *testing.T, subject pkix.Name) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// place writes the files of a listener whose certificate has this name.
func place(t *testing.T, dir string, a authority, name string) TLSFiles {
	t.Helper()
	f := TLSFiles{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), ClientCA: filepath.Join(dir, "ca")}
	cert, key := a.issue(t, pkix.Name{CommonName: name})
	for file, content := range map[string][]byte{f.Cert: cert, f.Key: key, f.ClientCA: a.pem} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// shake does one handshake and tells what each side sees of the other.
func shake(t *testing.T, server, client *tls.Config) (serverSees, clientSees tls.ConnectionState, err error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_ = a.SetDeadline(time.Now().Add(5 * time.Second))
	_ = b.SetDeadline(time.Now().Add(5 * time.Second))
	s, c := tls.Server(a, server), tls.Client(b, client)
	done := make(chan error, 1)
	go func() {
		err := s.HandshakeContext(t.Context())
		if err == nil {
			_, err = s.Write([]byte("x")) // with TLS 1.3 a client learns here that it was refused
		}
		done <- err
		_ = a.Close()
	}()
	if _, err = c.Read(make([]byte, 1)); err != nil {
		_ = b.Close()
	}
	if serverErr := <-done; serverErr != nil {
		err = serverErr
	}
	return s.ConnectionState(), c.ConnectionState(), err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestClientIsWhoItsCertificateSays(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	files := place(t, t.TempDir(), ca, "broker")
	pair := func(a authority) []tls.Certificate {
		cert, err := tls.X509KeyPair(a.issue(t, pkix.Name{CommonName: "Duke", OrganizationalUnit: []string{"Eng"}, Country: []string{"US"}}))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{cert}
	}
	short, err := ParseMapping(`RULE:^CN=(.*?),.*$/$1/L`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		require bool
		certs   []tls.Certificate
		mapping Mapping
		want    Principal // empty: refused
	}{
		{"with certificate", true, pair(ca), Mapping{}, "User:CN=Duke,OU=Eng,C=US"},
		{"with rule", false, pair(ca), short, "User:duke"},
		{"without", false, nil, short, Anonymous},
		{"without, but required", true, nil, Mapping{}, ""},
		{"of a foreign authority", true, pair(foreign), Mapping{}, ""},
		{"of a foreign authority, not required", false, pair(foreign), Mapping{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files.Require = c.require
			server, err := NewTLS(files, quiet())
			if err != nil {
				t.Fatal(err)
			}
			client := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(c.certs) > 0 {
					return &c.certs[0], nil
				}
				return &tls.Certificate{}, nil
			}}
			seen, _, err := shake(t, server, client)
			if (err == nil) != (c.want != "") {
				t.Fatalf("handshake: %v", err)
			}
			if err != nil {
				return
			}
			if got, err := c.mapping.Principal(seen); err != nil || got != c.want {
				t.Errorf("principal %q, %v", got, err)
			}
			client.MinVersion, client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			if _, _, err := shake(t, server, client); err == nil {
				t.Error("TLS 1.1 was taken")
			}
		})
	}
	none, err := ParseMapping(`RULE:^O=(.*)$/$1/`)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(pair(ca)[0].Certificate[0])
	if p, err := none.Principal(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}); err == nil {
		t.Errorf("a subject without rule became %q", p)
	}
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	files := place(t, dir, ca, "one")
	var logged bytes.Buffer
	server, err := NewTLS(files, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	broker := func() string {
		_, seen, err := shake(t, server, &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		return seen.PeerCertificates[0].Subject.CommonName
	}
	// The clock of a file system may be coarse: a change has a time of its own.
	touch := func(after time.Duration) {
		when := time.Now().Add(after)
		if err := os.Chtimes(files.Key, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if broker() != "one" {
		t.Error("not the certificate of the file")
	}
	place(t, dir, ca, "two")
	touch(time.Second)
	if broker() != "two" {
		t.Error("the new certificate is not served")
	}
	if err := os.WriteFile(files.Key, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(2 * time.Second)
	for range 2 {
		if broker() != "two" {
			t.Error("the old certificate is not kept")
		}
	}
	if strings.Count(logged.String(), "keeping the old certificates") != 1 {
		t.Errorf("logged %q", logged.String())
	}
	place(t, dir, ca, "three")
	touch(3 * time.Second)
	if broker() != "three" {
		t.Error("the repaired certificate is not served")
	}
}

func TestTLSFilesThatCannotBeUsedAreRefused(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	good := place(t, dir, ca, "broker")
	for name, change := range map[string]func(*TLSFiles){
		"no certificate":             func(f *TLSFiles) { f.Cert = filepath.Join(dir, "none") },
		"key that is none":           func(f *TLSFiles) { f.Key = f.ClientCA },
		"authorities not there":      func(f *TLSFiles) { f.ClientCA = filepath.Join(dir, "none") },
		"authorities that are none":  func(f *TLSFiles) { f.ClientCA = f.Key },
		"required without authority": func(f *TLSFiles) { f.ClientCA, f.Require = "", true },
	} {
		f := good
		change(&f)
		if _, err := NewTLS(f, quiet()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSubjectsPrintAsKafkaPrintsThem(t *testing.T) {
	email := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	domain := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	set := func(kind asn1.ObjectIdentifier, value any) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: kind, Value: value}}
	}
	cn, org := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}
	for _, c := range []struct {
		name    string
		subject pkix.RDNSequence
		want    string
	}{
		{"the last comes first", pkix.RDNSequence{set(org, "Acme"), set(cn, "Duke")}, "CN=Duke,O=Acme"},
		{"what is special is escaped", pkix.RDNSequence{set(cn, ` #a,b+c"d\e<f>g;h=i `)}, `CN=\ #a\,b\+c\"d\\e\<f\>g\;h=i\ `},
		{"hash in front", pkix.RDNSequence{set(cn, "#a#")}, `CN=\#a#`},
		{"domain", pkix.RDNSequence{set(domain, "org"), set(domain, "example")}, "DC=example,DC=org"},
		{"without keyword", pkix.RDNSequence{set(cn, "d"), set(email, "a@b")}, "1.2.840.113549.1.9.1=#0c03614062,CN=d"},
		{"two in one part", pkix.RDNSequence{{{Type: cn, Value: "a"}, {Type: org, Value: "b"}}}, "CN=a+O=b"},
		{"not ASCII", pkix.RDNSequence{set(cn, "Jürgen")}, "CN=Jürgen"},
		{"nobody", pkix.RDNSequence{}, ""},
	} {
		raw, err := asn1.Marshal(c.subject)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := distinguishedName(raw); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func FuzzDistinguishedName(f *testing.F) {
	raw, _ := asn1.Marshal(pkix.Name{CommonName: "a,b", Organization: []string{"x"}}.ToRDNSequence())
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) { _, _ = distinguishedName(raw) })
}
