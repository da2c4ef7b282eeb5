package node_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream/tables"
)

// replace puts a file in the place of another, as whoever rotates secrets should.
func replace(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asker asks each of some processes for keys of all, again and again, and remembers what went wrong.
type asker struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu    sync.Mutex
	asked int
	wrong error
}

func (a *asker) run(t *testing.T, client *tables.Client) {
	ctx, stop := context.WithCancel(t.Context())
	a.stop = stop
	a.ended.Go(func() {
		for ctx.Err() == nil {
			_, err := client.Table("shop", "totals").Range(ctx, tables.Range{Ask: tables.Ask{Wait: 1}})
			a.mu.Lock()
			if a.asked++; ctx.Err() == nil {
				a.wrong = errors.Join(a.wrong, err)
			}
			a.mu.Unlock()
		}
	})
}

func (a *asker) end(t *testing.T) {
	t.Helper()
	a.stop()
	a.ended.Wait()
	if a.wrong != nil || a.asked < 10 {
		t.Errorf("%d questions were asked: %v", a.asked, a.wrong)
	}
}

// TestATokenIsChangedWithoutAnOutage goes from one token to another in three steps, process by process, while questions of
// both go on between them.
func TestATokenIsChangedWithoutAnOutage(t *testing.T) {
	const later = "the-later-token-of-all-processes"
	dir, files := folder(t, counting), []string{tokenFile(t, sharedToken), tokenFile(t, sharedToken)}
	logs := []*journal{{}, {}}
	one := machine(t, dir, "one", nil, node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: files[0]}, logs[0])
	two := machine(t, dir, "two", one.Kafka().Brokers, node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: files[1]}, logs[1])
	nodes := []*node.Node{one, two}
	takes := func(n *node.Node, token string) bool {
		_, err := tables.NewClient(tables.Options{Token: token}, n.TablesURL()).Tables(t.Context(), "")
		return err == nil
	}
	eventually(t, "both have partitions", func() bool { return len(owners(t.Context(), tables.NewClient(tables.Options{}, one.Admin()))) == 2 })
	var askers [2]asker
	for i, n := range nodes {
		client := tables.NewClient(tables.Options{}, n.Admin())
		eventually(t, "an answer", func() bool {
			_, err := client.Table("shop", "totals").Range(t.Context(), tables.Range{})
			return err == nil
		})
		askers[i].run(t, client)
	}
	for nth, step := range []struct{ text, taken, refused string }{
		{sharedToken + "\n" + later, later, "the-token-of-nobody-at-all"},
		{later + "\n" + sharedToken, later, ""},
		{later, later, sharedToken},
	} {
		for i, n := range nodes {
			replace(t, files[i], step.text)
			eventually(t, fmt.Sprintf("what %q means", step.text), func() bool {
				return takes(n, step.taken) && (step.refused == "" || !takes(n, step.refused)) && strings.Count(logs[i].String(), "a file was read again") > nth
			})
		}
	}
	for i := range askers {
		askers[i].end(t)
	}
}

// TestCertificatesAreChangedWithoutAnOutage goes from one authority to another: the authorities first, then the
// certificates, then the old authority is forgotten.
func TestCertificatesAreChangedWithoutAnOutage(t *testing.T) {
	dir, old, later, log := folder(t, counting), newPKI(t), newPKI(t), &journal{}
	o := node.TablesOptions{Listen: "127.0.0.1:0", TokenFile: tokenFile(t, sharedToken), TLSCert: old.cert, TLSKey: old.key, TLSCA: old.ca}
	both := contentOf(t, old.ca) + contentOf(t, later.ca)
	one := machine(t, dir, "one", nil, o, log)
	two := machine(t, dir, "two", one.Kafka().Brokers, o, log)
	trust, err := node.ReadTablesAuthorities(later.ca)
	if err != nil {
		t.Fatal(err)
	}
	believed := func(n *node.Node) error {
		d := tls.Dialer{Config: trust, NetDialer: &net.Dialer{Timeout: 5 * time.Second}}
		c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(n.TablesURL(), "https://"))
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	client := tables.NewClient(tables.Options{}, one.Admin())
	answered := func() bool {
		_, err := client.Table("shop", "totals").Range(t.Context(), tables.Range{Ask: tables.Ask{Wait: 1}})
		return err == nil
	}
	eventually(t, "an answer of both", func() bool { return len(owners(t.Context(), client)) == 2 && answered() })

	replace(t, old.cert, "not a certificate")
	if err := believed(two); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with a file that is no certificate: got %v", err)
	}
	replace(t, old.ca, both)
	replace(t, old.key, contentOf(t, later.key))
	replace(t, old.cert, contentOf(t, later.cert))
	eventually(t, "the new certificate", func() bool { return believed(one) == nil && believed(two) == nil })
	machine(t, dir, "three", one.Kafka().Brokers, o, log) // the others have no connection to it
	eventually(t, "an answer of all three", func() bool { return len(owners(t.Context(), client)) == 3 && answered() })
	replace(t, old.ca, contentOf(t, later.ca))
	eventually(t, "an answer", answered)
	if n := strings.Count(log.String(), "keeping the old certificate"); n < 1 || n > 4 {
		t.Errorf("the log says %d times that a file is wrong:\n%s", n, log)
	}
}
