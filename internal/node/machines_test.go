package node_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream/tables"
)

const counting = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topic
metadata: {name: orders}
spec: {partitions: 4}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: shop}
spec:
  commitInterval: 20ms
  spouts:
    in: {topic: {name: orders}}
  bolts:
    totals: {from: in, aggregate: {compute: {orders: count}}}
  sinks:
    out: {from: totals, topic: {name: results}}
`

const sharedToken = "the-token-of-all-processes"

// pki is a folder with an authority and a certificate it signed, for 127.0.0.1.
type pki struct{ ca, cert, key string }

func newPKI(t *testing.T) pki {
	t.Helper()
	dir := t.TempDir()
	p := pki{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "cert.key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "worker"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.key, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for file, template := range map[string]*x509.Certificate{p.ca: root, p.cert: leaf} {
		der, err := x509.CreateCertificate(rand.Reader, template, root, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return p
}

func write(t *testing.T, file string, b *pem.Block) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// machine starts a process that others reach by its listener only.
func machine(t *testing.T, dir, id string, brokers []string, o node.TablesOptions, log io.Writer) *node.Node {
	t.Helper()
	options := options(t, dir, t.TempDir())
	options.ID, options.Brokers, options.Tables = id, brokers, o
	options.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return up(t, options)
}

// TestProcessesAnswerForEachOtherBetweenMachines runs two processes and asks either, by its listener, for keys of both.
func TestProcessesAnswerForEachOtherBetweenMachines(t *testing.T) {
	dir, pki, log := folder(t, counting), newPKI(t), &journal{}
	o := node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: tokenFile(t, sharedToken), TLSCert: pki.cert, TLSKey: pki.key, TLSCA: pki.ca}
	one := machine(t, dir, "one", nil, o, log)
	two := machine(t, dir, "two", one.Kafka().Brokers, o, log)
	trust, err := node.ReadTablesAuthorities(pki.ca)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(n *node.Node) *tables.Client {
		return tables.NewClient(tables.Options{Token: sharedToken, TLS: trust}, n.TablesURL())
	}
	eventually(t, "both have partitions", func() bool { return len(owners(t.Context(), ask(one))) == 2 && len(owners(t.Context(), ask(two))) == 2 })
	produce(t, one, "orders", strings.Split(strings.Repeat("{} ", 20), " ")[:20]...)
	for _, n := range []*node.Node{one, two} {
		by := map[string]int{}
		totals := ask(n).Table("shop", "totals")
		for i := range 20 {
			eventually(t, fmt.Sprintf("an answer for key %d", i), func() bool {
				e, err := totals.Get(t.Context(), fmt.Append(nil, i), tables.Ask{})
				if err == nil {
					by[e.By]++
				}
				return err == nil
			})
		}
		if by["one"] == 0 || by["two"] == 0 || !strings.HasPrefix(n.TablesURL(), "https://127.0.0.1:") {
			t.Errorf("at %s the answers were by %v", n.TablesURL(), by)
		}
	}
	if _, err := ask(one).Produce(t.Context(), "orders", tables.Record{}); err == nil {
		t.Error("a listener took a record")
	}
	if text := log.String(); strings.Contains(text, sharedToken) {
		t.Errorf("the token is in the log:\n%s", text)
	}
	checkStrangers(t, one, trust)
}

func owners(ctx context.Context, c *tables.Client) map[string]bool {
	all := map[string]bool{}
	list, _ := c.Tables(ctx, "shop")
	for _, table := range list {
		for _, p := range table.Partitions {
			if p.Active != "" {
				all[p.Active] = true
			}
		}
	}
	return all
}

// checkStrangers asks a listener as somebody without the token does, and for what it does not have.
func checkStrangers(t *testing.T, n *node.Node, trust *tls.Config) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{"/v1/tables", "", 401},
		{"/v1/tables", "the-token-of-all-processeS", 401},
		{"/metrics", "", 401},
		{"/v1/tables", sharedToken, 200},
		{"/metrics", sharedToken, 404},
		{"/v1/status", sharedToken, 404},
		{"/healthz", sharedToken, 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.TablesURL()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s with token %q: got %d", c.path, c.token, response.StatusCode)
		}
	}
}

// TestAProcessThatDoesNotFitIsNamed starts two processes whose tokens differ.
func TestAProcessThatDoesNotFitIsNamed(t *testing.T) {
	dir, log := folder(t, counting), &journal{}
	one := machine(t, dir, "one", nil, node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: tokenFile(t, sharedToken)}, log)
	machine(t, dir, "two", one.Kafka().Brokers, node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: tokenFile(t, "another-token-of-its-own")}, log)
	client := tables.NewClient(tables.Options{}, one.Admin())
	eventually(t, "both have partitions", func() bool { return len(owners(t.Context(), client)) == 2 })
	eventually(t, "the other is not asked", func() bool {
		_, err := client.Table("shop", "totals").Range(t.Context(), tables.Range{Ask: tables.Ask{Wait: 1}})
		refused, ok := errors.AsType[*tables.Error](err)
		return ok && refused.Code == tables.NotReady && strings.Contains(refused.Message, `"two": it wants another token`)
	})
	if text := log.String(); !strings.Contains(text, "level=WARN") || strings.Contains(text, sharedToken) || strings.Contains(text, "of-its-own") {
		t.Errorf("logged:\n%s", text)
	}
}

func TestListenersThatAreRefused(t *testing.T) {
	dir, pki, token := folder(t, counting), newPKI(t), tokenFile(t, sharedToken)
	tls := node.TablesOptions{TokenFile: token, TLSCert: pki.cert, TLSKey: pki.key}
	with := func(change func(*node.TablesOptions)) node.TablesOptions {
		o := tls
		change(&o)
		return o
	}
	for _, c := range []struct {
		name string
		o    node.TablesOptions
		want []string // in this order, all of them
	}{
		{"no token", node.TablesOptions{Listen: "192.0.2.1:1", TLSCert: pki.cert, TLSKey: pki.key, Advertise: "127.0.0.1:1"}, []string{"must show a token"}},
		{"no token, on this machine", node.TablesOptions{Listen: "127.0.0.1:0"}, []string{"must show a token"}},
		{"no TLS", node.TablesOptions{Listen: "192.0.2.1:1", TokenFile: token}, []string{"without TLS the token and the answers can be read"}},
		{"no TLS, told to others", node.TablesOptions{Listen: "127.0.0.1:0", Advertise: "w1.example.com:1", TokenFile: token}, []string{"without TLS the token"}},
		{"every address", with(func(o *node.TablesOptions) { o.Listen = "0.0.0.0:0" }), []string{"have to be told an address"}},
		{"every address, in other words", with(func(o *node.TablesOptions) { o.Listen = ":0" }), []string{"have to be told an address"}},
		{"every address, of the other kind", with(func(o *node.TablesOptions) { o.Listen = "[::]:0" }), []string{"have to be told an address"}},
		{"every address told", with(func(o *node.TablesOptions) { o.Listen, o.Advertise = "127.0.0.1:0", "0.0.0.0:1" }), []string{"want host:port that leads here"}},
		{"any port told", with(func(o *node.TablesOptions) { o.Listen, o.Advertise = "127.0.0.1:0", "127.0.0.1:0" }), []string{"want host:port that leads here"}},
		{"a certificate for somebody else", with(func(o *node.TablesOptions) { o.Listen, o.Advertise = "127.0.0.1:0", "w1.example.com:1" }), []string{"would not believe it"}},
		{"half a certificate", node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: token, TLSKey: pki.key}, []string{"certificate or key is missing"}},
		{"a certificate that is none", node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: token, TLSCert: pki.key, TLSKey: pki.cert}, []string{"load certificate"}},
		{"TLS and none", with(func(o *node.TablesOptions) { o.Listen, o.Plain = "127.0.0.1:0", true }), []string{"with --tables-tls-cert the listener speaks TLS"}},
		{"no listener", with(func(o *node.TablesOptions) { o.Advertise = "127.0.0.1:1" }), []string{"read --tables-advertise: without", "read --tables-tls-cert: without", "read --tables-tls-key: without"}},
		{"a short token", node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: tokenFile(t, "short")}, []string{"the token has 5 characters"}},
		{"a token of two words", node.TablesOptions{TokenFile: tokenFile(t, "two words are too many")}, []string{"other than letters"}},
		{"everything", node.TablesOptions{Listen: "here", Advertise: "there", TokenFile: "nowhere", TLSCert: "x", TLSCA: pki.key},
			[]string{`--tables-listen "here"`, `--tables-advertise "there"`, "open nowhere", "certificate or key is missing", "no certificate in it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(node.TablesTokenVariable, "")
			o := options(t, dir, filepath.Join(t.TempDir(), "data"))
			o.Tables = c.o
			n, err := node.Up(t.Context(), o)
			if err == nil {
				stop(t, n)
				t.Fatal("it started")
			}
			refused, ok := errors.AsType[*node.OptionsError](err)
			if !ok || len(refused.Problems) != len(c.want) {
				t.Fatalf("got %v", err)
			}
			for i, p := range refused.Problems {
				if !strings.Contains(p.Error(), c.want[i]) || p.Advice == "" {
					t.Errorf("got %q (%s), want %q", p.Error(), p.Advice, c.want[i])
				}
			}
			if _, err := os.Stat(o.Data); !os.IsNotExist(err) {
				t.Errorf("something was made: %v", err)
			}
		})
	}
}

func TestTheTokenMayBeInTheEnvironment(t *testing.T) {
	t.Setenv(node.TablesTokenVariable, sharedToken)
	n := machine(t, folder(t, counting), "one", nil, node.TablesOptions{Listen: "127.0.0.1:0"}, io.Discard)
	if _, err := tables.NewClient(tables.Options{Token: sharedToken}, n.TablesURL()).Tables(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if got, err := node.ReadTablesToken(tokenFile(t, "of-the-file-that-is-named"), slog.New(slog.DiscardHandler)); err != nil || got != "of-the-file-that-is-named" {
		t.Errorf("a file and the environment: got %q, %v", got, err)
	}
}
