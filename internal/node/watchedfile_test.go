package node

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	oldToken = "the-old-token-of-all-processes"
	newToken = "the-new-token-of-all-processes"
)

// TestAWatchedFileIsReadAgain changes a file in ways that are good, bad, and hard to notice.
func TestAWatchedFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, log := filepath.Join(t.TempDir(), "token"), &bytes.Buffer{}
		made := time.Unix(1_700_000_000, 0)
		place := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, made, made); err != nil { // nothing but the text tells
				t.Fatal(err)
			}
		}
		place(oldToken)
		w, err := watchFile(path, parseTokens, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(name, want string, infos, warnings int) {
			t.Helper()
			if got := strings.Join(w.current(), " "); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
			if i, n := strings.Count(log.String(), "level=INFO"), strings.Count(log.String(), "level=WARN"); i != infos || n != warnings {
				t.Errorf("%s: %d lines tell of a new text and %d of a fault, want %d and %d:\n%s", name, i, n, infos, warnings, log)
			}
		}
		later := func() { time.Sleep(watchedFileEvery) } // sleep: of the bubble's clock

		place(oldToken + "\n" + newToken + "\n")
		expect("within the same second", oldToken, 0, 0)
		later()
		expect("two lines", oldToken+" "+newToken, 1, 0)
		place(newToken + "\r\n" + oldToken + "\r\n")
		later()
		expect("the other way round", newToken+" "+oldToken, 2, 0)
		for range 3 {
			place("")
			later()
			expect("half written", newToken+" "+oldToken, 2, 1)
		}
		place(newToken + "\n" + oldToken + "\n" + oldToken)
		later()
		expect("three lines", newToken+" "+oldToken, 2, 2)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		later()
		later()
		expect("gone", newToken+" "+oldToken, 2, 3)
		place(newToken)
		later()
		later()
		expect("one line", newToken, 3, 3)
		if strings.Contains(log.String(), "-token-of-") {
			t.Errorf("a token is in the log:\n%s", log)
		}
	})
}

// TestAPipeIsReadOnce gives the token as a shell's <(…) does.
func TestAPipeIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := w.WriteString(oldToken + "\n"); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		log := &bytes.Buffer{}
		tokens, err := readTablesTokens(fmt.Sprintf("/dev/fd/%d", r.Fd()), slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * watchedFileEvery) // sleep: of the bubble's clock
		if got := tokens(); len(got) != 1 || got[0] != oldToken || log.Len() > 0 {
			t.Errorf("got %q; logged %s", got, log)
		}
	})
}

func TestCertificatesThatOthersWouldNotBelieve(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	c := func(from, to time.Duration, names ...string) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to), DNSNames: names}
	}
	for _, tc := range []struct {
		name string
		c    *x509.Certificate
		says string
	}{
		{"good", c(-time.Hour, time.Hour, "a", "w1.example.com"), ""},
		{"for somebody else", c(-time.Hour, time.Hour, "w2.example.com"), "not w1.example.com"},
		{"too old", c(-2*time.Hour, -time.Hour, "w1.example.com"), "it was valid until 2026-01-31T11:00:00Z"},
		{"too new", c(time.Hour, 2*time.Hour, "w1.example.com"), "it is valid from 2026-01-31T13:00:00Z on"},
	} {
		if err := credible(tc.c, "w1.example.com", now); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add([]byte(oldToken + "\n" + newToken + "\r\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseTokens(text)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > tokensMax {
			t.Fatalf("%d tokens", len(list))
		}
		for _, token := range list {
			if len(token) < tokenMin || len(token) > tokenMax || strings.ContainsAny(token, " \r\n\x00") {
				t.Errorf("token %q", token)
			}
		}
	})
}
