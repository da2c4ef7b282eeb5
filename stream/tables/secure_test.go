package tables_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ravenswood.dev/stream/tables"
)

// shown is a server that keeps what it is shown as a token.
func shown(t *testing.T, encrypted bool) (*httptest.Server, func() []string) {
	t.Helper()
	bearers := make(chan string, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearers <- r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"tables":[]}`))
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if encrypted {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, func() (all []string) {
		for {
			select {
			case b := <-bearers:
				all = append(all, b)
			default:
				return all
			}
		}
	}
}

// TestATokenGoesWhereItIsMeantToGo asks by addresses of all kinds.
func TestATokenGoesWhereItIsMeantToGo(t *testing.T) {
	plain, plainSaw := shown(t, false)
	secure, secureSaw := shown(t, true)
	transport, _ := secure.Client().Transport.(*http.Transport)
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for _, c := range []struct {
		name, address string
		trust         *tls.Config
		says          string // empty: it is asked, and sees the token
	}{
		{"TLS", "https://" + at(secure), transport.TLSClientConfig, ""},
		{"TLS, with a slash", "https://" + at(secure) + "/", transport.TLSClientConfig, ""},
		{"a certificate that is not believed", "https://" + at(secure), nil, "its certificate is not believed: x509: "},
		{"this machine", at(plain), nil, ""},
		{"this machine, in so many letters", "http://" + at(plain), nil, ""},
		{"TLS where there is none", "https://" + at(plain), transport.TLSClientConfig, "it does not speak TLS"},
		{"no TLS where there is", at(secure), nil, "it speaks TLS"},
		{"another machine without a scheme", "192.0.2.1:1", nil, "a token is sent by https"},
		{"a name without a scheme", "w1.example.com:1", nil, "a token is sent by https"},
		{"no port", "127.0.0.1", nil, "want host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := tables.NewClient(tables.Options{Token: "secret", TLS: c.trust}, c.address)
			_, err := client.Tables(t.Context(), "")
			saw := append(plainSaw(), secureSaw()...)
			if c.says == "" && (err != nil || len(saw) != 1 || saw[0] != "Bearer secret") {
				t.Errorf("got %v, and it saw %q", err, saw)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || len(saw) != 0) {
				t.Errorf("got %v, and it saw %q", err, saw)
			}
		})
	}
}

// TestAWatchDoesNotWaitForWhatStays gives up at once where only a person can help.
func TestAWatchDoesNotWaitForWhatStays(t *testing.T) {
	secure, _ := shown(t, true)
	client := tables.NewClient(tables.Options{Token: "secret"}, "https://"+secure.Listener.Addr().String())
	for _, err := range client.Table("shop", "users").Watch(t.Context(), tables.Watch{}) {
		if unreachable, ok := errors.AsType[*tables.UnreachableError](err); !ok || !strings.Contains(unreachable.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
	}
}
