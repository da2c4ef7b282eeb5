package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/disk"
)

// serveMore lets a server listen in one more way.
func serveMore(t *testing.T, s *Server, l Listener) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln, l) }()
	t.Cleanup(func() {
		ln.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// passwords are those of the users of these tests.
func passwords() map[string]string { return map[string]string{"admin": "root", "alice": "geheim"} }

func withUsers(o *Options) {
	o.Security.Users = passwords()
}

func authorizing(o *Options) {
	withUsers(o)
	o.Security.Authorize, o.Security.SuperUsers = true, []acl.Principal{"User:admin"}
}

func everyMechanism() []acl.Mechanism {
	return []acl.Mechanism{acl.ScramSHA256, acl.ScramSHA512, acl.Plain}
}

// pki is an authority with the files of a server.
type pki struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	p.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	p.cert = p.sign(template, template, &p.key.PublicKey)
	p.write("ca.pem", "CERTIFICATE", p.cert.Raw)
	p.issue("server", pkix.Name{CommonName: "127.0.0.1"})
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p *pki) sign(c, parent *x509.Certificate, public any) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return cert
}

// issue writes NAME.pem and NAME.key.
func (p *pki) issue(name string, subject pkix.Name) tls.Certificate {
	key := newKey(p.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert := p.sign(template, p.cert, &key.PublicKey)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name+".pem", "CERTIFICATE", cert.Raw)
	p.write(name+".key", "PRIVATE KEY", private)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name, kind string, der []byte) {
	if err := os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// server is the configuration of a listener, client that of whoever trusts it.
func (p *pki) server(clients bool) *tls.Config {
	f := acl.TLSFiles{Cert: p.file("server.pem"), Key: p.file("server.key")}
	if clients {
		f.ClientCA, f.Require = p.file("ca.pem"), true
	}
	c, err := acl.NewTLS(f, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *pki) client(shown ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.cert)
	return &tls.Config{RootCAs: roots, Certificates: shown, MinVersion: tls.VersionTLS12}
}

// ping asks for something that only who got in is told.
func ping(t *testing.T, addr string, opts ...kgo.Opt) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := client(t, addr, append(opts, kgo.RequestRetries(0))...).Request(ctx, kmsg.NewPtrListGroupsRequest())
	return err
}

func TestLogins(t *testing.T) {
	p := newPKI(t)
	s, _ := start(t, disk.NewMemory(), withUsers)
	secret := serveMore(t, s, Listener{TLS: p.server(false), Mechanisms: everyMechanism()})
	open := serveMore(t, s, Listener{Mechanisms: []acl.Mechanism{acl.ScramSHA256, acl.ScramSHA512}})
	tlsOn := kgo.DialTLSConfig(p.client())
	right, wrong := scram.Auth{User: "alice", Pass: "geheim"}, scram.Auth{User: "alice", Pass: "falsch"}
	nobody := scram.Auth{User: "nobody", Pass: "geheim"}
	for _, c := range []struct {
		name string
		addr string
		opts []kgo.Opt
		want error
	}{
		{"SCRAM-SHA-256", open, []kgo.Opt{kgo.SASL(right.AsSha256Mechanism())}, nil},
		{"SCRAM-SHA-512", open, []kgo.Opt{kgo.SASL(right.AsSha512Mechanism())}, nil},
		{"SCRAM-SHA-256 over TLS", secret, []kgo.Opt{tlsOn, kgo.SASL(right.AsSha256Mechanism())}, nil},
		{"SCRAM-SHA-512 over TLS", secret, []kgo.Opt{tlsOn, kgo.SASL(right.AsSha512Mechanism())}, nil},
		{"PLAIN over TLS", secret, []kgo.Opt{tlsOn, kgo.SASL(saslplain.Auth{User: "alice", Pass: "geheim"}.AsMechanism())}, nil},
		{"wrong password", open, []kgo.Opt{kgo.SASL(wrong.AsSha256Mechanism())}, kerr.SaslAuthenticationFailed},
		{"wrong password, 512", open, []kgo.Opt{kgo.SASL(wrong.AsSha512Mechanism())}, kerr.SaslAuthenticationFailed},
		{"unknown user", open, []kgo.Opt{kgo.SASL(nobody.AsSha256Mechanism())}, kerr.SaslAuthenticationFailed},
		{"wrong password, PLAIN", secret, []kgo.Opt{tlsOn, kgo.SASL(saslplain.Auth{User: "alice", Pass: "falsch"}.AsMechanism())}, kerr.SaslAuthenticationFailed},
		{"PLAIN without TLS", open, []kgo.Opt{kgo.SASL(saslplain.Auth{User: "alice", Pass: "geheim"}.AsMechanism())}, kerr.UnsupportedSaslMechanism},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := ping(t, c.addr, c.opts...); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
	t.Run("no login", func(t *testing.T) {
		if err := ping(t, open); err == nil {
			t.Fatal("who did not log in got in")
		}
	})
	t.Run("no TLS where it is spoken", func(t *testing.T) {
		w := dialWire(t, secret)
		w.sendFrame(frameOf(kmsg.NewPtrApiVersionsRequest()))
		if b, err := io.ReadAll(w.nc); err != nil || len(b) > 7 { // an alert of TLS
			t.Fatalf("it was answered with %x, %v", b, err)
		}
	})
}

func TestPlainIsNotServedInTheClear(t *testing.T) {
	s, _ := start(t, disk.NewMemory())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := s.Serve(ln, Listener{Mechanisms: []acl.Mechanism{acl.Plain}}); err == nil || !strings.Contains(err.Error(), "needs TLS") {
		t.Fatalf("got %v", err)
	}
}

func TestCertificatesSayWhoAClientIs(t *testing.T) {
	p := newPKI(t)
	mapping, err := acl.ParseMapping(`RULE:^CN=([^,]*),OU=Trading.*$/$1/L`)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, disk.NewMemory(), authorizing)
	addr := serveMore(t, s, Listener{TLS: p.server(true), Mapping: mapping})
	trader := func(name string) tls.Certificate {
		return p.issue(name, pkix.Name{CommonName: name, OrganizationalUnit: []string{"Trading"}})
	}
	stranger := newPKI(t).issue("Admin", pkix.Name{CommonName: "Admin", OrganizationalUnit: []string{"Trading"}})
	describe := func(shown ...tls.Certificate) error {
		cl := client(t, addr, kgo.DialTLSConfig(p.client(shown...)), kgo.RequestRetries(0))
		r, err := kmsg.NewPtrListConfigResourcesRequest().RequestWith(timeout(t), cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(r.ErrorCode)
	}
	if err := describe(trader("Admin")); err != nil {
		t.Errorf("the super user is refused: %v", err)
	}
	if err := describe(trader("Bob")); !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		t.Errorf("another user: %v", err)
	}
	for name, shown := range map[string][]tls.Certificate{
		"no certificate":                     nil,
		"a certificate of another authority": {stranger},
		"a subject that no rule maps":        {p.issue("x", pkix.Name{CommonName: "Admin", OrganizationalUnit: []string{"Sales"}})},
	} {
		if r, err := dialWire(t, addr, p.client(shown...)).ask(kmsg.NewPtrMetadataRequest()); err == nil {
			t.Errorf("%s: it was answered: %v", name, r)
		}
	}
}

// oldLogin sends the one token of PLAIN; its answer is still to be read.
func oldLogin(t *testing.T, addr string, p *pki, password string) *wire {
	t.Helper()
	w := dialWire(t, addr, p.client())
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "PLAIN"
	if r, err := w.ask(handshake); err != nil || r.(*kmsg.SASLHandshakeResponse).ErrorCode != 0 {
		t.Fatalf("handshake: %v, %v", r, err)
	}
	w.sendFrame([]byte("\x00alice\x00" + password))
	return w
}

// TestOldLoginsWithBareTokens: clients that shake hands with version 0 send tokens without a request around them.
func TestOldLoginsWithBareTokens(t *testing.T) {
	p := newPKI(t)
	s, _ := start(t, disk.NewMemory(), withUsers)
	addr := serveMore(t, s, Listener{TLS: p.server(false), Mechanisms: everyMechanism()})
	w := oldLogin(t, addr, p, "geheim")
	if token, err := w.readFrame(); err != nil || len(token) != 0 {
		t.Fatalf("got %q, %v", token, err)
	}
	if _, err := w.ask(kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatal(err)
	}
	if _, err := oldLogin(t, addr, p, "falsch").readFrame(); err == nil {
		t.Fatal("a wrong password was answered")
	}
}

func TestLoginsEnd(t *testing.T) {
	t.Parallel()
	s, _ := start(t, disk.NewMemory(), withUsers)
	const lifetime = 1500 * time.Millisecond
	addr := serveMore(t, s, Listener{Mechanisms: []acl.Mechanism{acl.ScramSHA256}, Lifetime: lifetime})
	logins := 0
	counted := scram.Sha256(func(context.Context) (scram.Auth, error) {
		logins++
		return scram.Auth{User: "alice", Pass: "geheim"}, nil
	})
	cl := client(t, addr, kgo.SASL(counted), kgo.RequestRetries(0))
	for begin := time.Now(); time.Since(begin) < 2*lifetime; {
		if _, err := kmsg.NewPtrListGroupsRequest().RequestWith(timeout(t), cl); err != nil {
			t.Fatal(err)
		}
	}
	if logins < 2 {
		t.Fatalf("it logged in %d times", logins)
	}

	// Who does not log in again loses the connection.
	p := newPKI(t)
	short := serveMore(t, s, Listener{TLS: p.server(false), Mechanisms: everyMechanism(), Lifetime: lifetime})
	w := oldLogin(t, short, p, "geheim")
	if _, err := w.readFrame(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask(kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; {
		if _, err := w.ask(kmsg.NewPtrMetadataRequest()); err != nil {
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal("an expired login is still served")
		}
	}
}

// TestKcatComesInWithTLSAndLogin is the same with a client of another make.
func TestKcatComesInWithTLSAndLogin(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("kcat")
	if err != nil {
		if os.Getenv("RAVEN_REQUIRE_KCAT") == "1" {
			t.Fatal("RAVEN_REQUIRE_KCAT=1 and there is no kcat: apt-get install kcat")
		}
		t.Skip("SKIPPED, NOT TESTED: there is no kcat (apt-get install kcat)")
	}
	p := newPKI(t)
	p.issue("alice", pkix.Name{CommonName: "alice"})
	s, _ := start(t, disk.NewMemory(), withUsers)
	if _, err := s.createTopic(t.Context(), "orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	login := serveMore(t, s, Listener{TLS: p.server(false), Mechanisms: everyMechanism()})
	shown := serveMore(t, s, Listener{TLS: p.server(true)})
	run := func(addr string, x ...string) (string, error) {
		args := []string{"20", path, "-b", addr, "-L", "-m", "2", "-X", "ssl.ca.location=" + p.file("ca.pem")}
		for _, o := range x {
			args = append(args, "-X", o)
		}
		out, err := exec.CommandContext(t.Context(), "timeout", args...).CombinedOutput()
		return string(out), err
	}
	user := func(mechanism, password string) []string {
		return []string{"security.protocol=SASL_SSL", "sasl.mechanism=" + mechanism, "sasl.username=alice", "sasl.password=" + password}
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"} {
		if out, err := run(login, user(mechanism, "geheim")...); err != nil || !strings.Contains(out, `topic "orders"`) {
			t.Errorf("%s: %v: %s", mechanism, err, out)
		}
	}
	if out, err := run(login, user("SCRAM-SHA-512", "falsch")...); err == nil || !strings.Contains(out, "Authentication failed") && !strings.Contains(out, "authentication") {
		t.Errorf("wrong password: %v: %s", err, out)
	}
	if out, err := run(shown, "security.protocol=SSL", "ssl.certificate.location="+p.file("alice.pem"), "ssl.key.location="+p.file("alice.key")); err != nil || !strings.Contains(out, `topic "orders"`) {
		t.Errorf("certificate: %v: %s", err, out)
	}
	if out, err := run(shown, "security.protocol=SSL"); err == nil {
		t.Errorf("no certificate: %s", out)
	}
}
