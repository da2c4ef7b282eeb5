package tables_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

const rightToken = "a-token-that-nobody-guesses"

func tokens(list ...string) tables.Tokens { return func() []string { return list } }

// listening is a process that others reach by its listener only, and what it has.
type listening struct {
	cluster *cluster
	owner   *process
	server  *httptest.Server
	trust   *tls.Config // believes the listener's certificate

	mu      sync.Mutex
	bearers []string // what the listener was shown
}

func listen(t *testing.T, encrypted bool) *listening {
	t.Helper()
	l := &listening{cluster: newCluster(t, 2, 1)}
	l.owner = l.cluster.processes[1]
	put(t, l.cluster.own(t, l.owner, 0), `1`)
	l.owner.server.Close() // its admin API is out of reach
	questions := l.owner.service.Questions(tokens(rightToken))
	l.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.bearers = append(l.bearers, r.Header.Get("Authorization"))
		l.mu.Unlock()
		questions.ServeHTTP(w, r)
	}))
	l.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if encrypted {
		l.server.StartTLS()
		transport, _ := l.server.Client().Transport.(*http.Transport)
		l.trust = transport.TLSClientConfig
	} else {
		l.server.Start()
	}
	t.Cleanup(l.server.Close)
	l.announce(tables.Announced(encrypted, l.server.Listener.Addr().String()))
	return l
}

func (l *listening) announce(address string) {
	l.cluster.mu.Lock()
	defer l.cluster.mu.Unlock()
	l.cluster.owners[0].Active = tables.Instance{ID: l.owner.id, Address: address}
}

// ask asks the other process for the key, which has to pass the question on.
func (l *listening) ask(t *testing.T, peers tables.Peers, log io.Writer) error {
	t.Helper()
	other := l.cluster.processes[0]
	service := tables.New(tables.Options{
		ID: other.id, Engines: func() []tables.Engine { return []tables.Engine{other} }, Log: l.cluster.log, Peers: peers,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	defer service.Close()
	server := httptest.NewServer(service.Handler())
	defer server.Close()
	asking := client.NewClient(client.Options{}, server.Listener.Addr().String())
	_, err := asking.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{Wait: 1})
	return err
}

func TestAQuestionIsPassedOnToAListener(t *testing.T) {
	for _, tc := range []struct {
		name      string
		encrypted bool
		announced string // instead of where the listener is
		token     string
		stranger  bool // the listener's certificate is not believed
		says      string
		shown     bool // a token was shown
	}{
		{"with TLS and the token", true, "", rightToken, false, "", true},
		{"without TLS, on this machine", false, "", rightToken, false, "", true},
		{"with another token", true, "", "another-token-of-its-own", false, `ask process "p1": it wants another token than this process has`, true},
		{"without a token", true, "", "", false, `ask process "p1": it wants a token, and this process has none`, false},
		{"with a certificate of somebody else", true, "", rightToken, true, "certificate signed by unknown authority", false},
		{"without TLS, on another machine", false, "http://192.0.2.1:1", rightToken, false, "it listens without TLS, and this process does not send its token that way", false},
		{"without TLS, by a name", false, "http://localhost:1", rightToken, false, "it listens without TLS", false},
		{"at a path", true, "https://127.0.0.1:1/?x", rightToken, false, "want host:port", false},
		{"at no port", true, "https://127.0.0.1", rightToken, false, "want host:port", false},
		{"by another protocol", true, "ftp://127.0.0.1:1", rightToken, false, "want host:port", false},
		{"behind a login", true, "https://a@127.0.0.1:1", rightToken, false, "want host:port", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := listen(t, tc.encrypted)
			if tc.announced != "" {
				l.announce(tc.announced)
			}
			peers := tables.Peers{Tokens: tokens(tc.token), TLS: func() *tls.Config { return l.trust }}
			if tc.stranger {
				peers.TLS = func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
			}
			var log bytes.Buffer
			err := l.ask(t, peers, &log)
			if tc.says == "" && err != nil || tc.says != "" && (code(err) != client.NotReady || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v", err)
			}
			if refused, ok := errors.AsType[*client.Error](err); ok && !strings.Contains(refused.Hint, "the same token") {
				t.Errorf("the hint is %q", refused.Hint)
			}
			if tc.says != "" && (strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "process=p1")) {
				t.Errorf("logged %s", log.String())
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if shown := len(l.bearers) > 0; shown != tc.shown {
				t.Errorf("the listener was shown %q", l.bearers)
			}
			if tc.token != "" && (strings.Contains(log.String(), tc.token) || err != nil && strings.Contains(err.Error(), tc.token)) {
				t.Errorf("the token was told: %v\n%s", err, log.String())
			}
		})
	}
}

// TestAnAdminAPIIsNotShownTheToken lets a process that has a token ask one without a listener, as older ones are.
func TestAnAdminAPIIsNotShownTheToken(t *testing.T) {
	l := listen(t, false)
	var mu sync.Mutex
	var bearers []string
	handler := l.owner.service.Handler()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		bearers = append(bearers, r.Header.Get("Authorization"))
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	defer api.Close()
	l.announce(api.Listener.Addr().String())
	if err := l.ask(t, tables.Peers{Tokens: tokens(rightToken)}, io.Discard); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(bearers) != 1 || bearers[0] != "" {
		t.Errorf("it was shown %q", bearers)
	}
}

// TestAListenerServesQuestionsOnly asks with and without the token for what there is, is not, and is elsewhere.
func TestAListenerServesQuestionsOnly(t *testing.T) {
	l := listen(t, true)
	for _, tc := range []struct {
		name, method, path string
		status             int // with the token
	}{
		{"a key", "GET", "/v1/topologies/shop/tables/users/k", 200},
		{"the tables", "GET", "/v1/tables", 200},
		{"records", "POST", "/v1/topics/orders/records", 404},
		{"the status", "GET", "/v1/status", 404},
		{"the routes", "GET", "/v1/routes", 404},
		{"a change of a route", "POST", "/v1/routes/svc/switch", 404},
		{"the numbers", "GET", "/metrics", 404},
		{"the probes", "GET", "/healthz", 404},
		{"profiles", "GET", "/debug/pprof/", 404},
		{"nothing", "GET", "/", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for header, want := range map[string]int{
				"": 401, "Bearer": 401, "Bearer ": 401, "Bearer wrong": 401, "Bearer " + rightToken + "x": 401, "Bearer  " + rightToken: 401, "Basic " + rightToken: 401, rightToken: 401,
				"Bearer " + rightToken: tc.status, "bearer " + rightToken: tc.status,
			} {
				status, said, close := l.request(t, tc.method, tc.path, header)
				if status != want {
					t.Errorf("with %q: got %d %s", header, status, said)
				}
				if want == 401 && (said != `{"code":"forbidden","error":"ask a table: the token is missing or wrong"}` || !close) {
					t.Errorf("with %q: a stranger is told %s, close %v", header, said, close)
				}
			}
		})
	}
}

func (l *listening) request(t *testing.T, method, path, authorization string) (status int, said string, closes bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, l.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := l.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(raw)), response.Close
}

func TestNoTokenLetsNobodyIn(t *testing.T) {
	l := listen(t, true)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tables", nil)
	r.Header.Set("Authorization", "Bearer ")
	l.owner.service.Questions(tokens("")).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("got %d", w.Code)
	}
}

// TestTheTokensOfNowCount changes the tokens of a listener, and of who asks there, while both run.
func TestTheTokensOfNowCount(t *testing.T) {
	l := listen(t, true)
	var accepted []string
	questions := l.owner.service.Questions(func() []string { return accepted })
	for _, step := range []struct {
		name     string
		accepted []string
		want     map[string]bool
	}{
		{"none", nil, map[string]bool{"": false, "one": false}},
		{"one", []string{"one"}, map[string]bool{"one": true, "two": false}},
		{"two", []string{"one", "two"}, map[string]bool{"one": true, "two": true, "one\ntwo": false, "": false}},
		{"the other", []string{"two"}, map[string]bool{"one": false, "two": true}},
		{"nothing", []string{"", ""}, map[string]bool{"": false}},
	} {
		accepted = step.accepted
		for token, want := range step.want {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tables", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if questions.ServeHTTP(w, r); (w.Code == http.StatusOK) != want {
				t.Errorf("%s: %q got %d", step.name, token, w.Code)
			}
		}
	}
	shown := []string{"not-the-token-it-wants", rightToken}
	peers := tables.Peers{Tokens: func() []string { return shown }, TLS: func() *tls.Config { return l.trust }}
	if err := l.ask(t, peers, io.Discard); err == nil {
		t.Error("the second token was shown")
	}
	shown = []string{rightToken, "not-the-token-it-wants"}
	if err := l.ask(t, peers, io.Discard); err != nil {
		t.Error(err)
	}
}
