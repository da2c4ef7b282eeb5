package tables_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ravenswood.dev/internal/engine/store"
)

// alone is the handler of a process that has the only partition.
func alone(t *testing.T) http.Handler {
	t.Helper()
	c := newCluster(t, 1, 1)
	p := c.processes[0]
	commit(t, c.own(t, p, 0), func(s *store.State) {
		s.KeyValue("users").Put([]byte("k"), store.Entry{Value: []byte("1"), Time: at(1)})
		s.Windows("hours").Put([]byte("k"), at(60), 0, store.Entry{Value: []byte("1"), Time: at(61)})
	})
	return p.service.Handler()
}

func FuzzQuestion(f *testing.F) {
	f.Add("users", "k", "from=a&to=b&limit=3&cursor=eyJrZXkiOiJhdyJ9&wait=1ns")
	f.Add("hours", "k/windows", "from=0&to=9223372036854775807&wait=0s")
	f.Add("prices", "k", "asOf=2026-01-31T12:00:00Z&keyEncoding=base64&wait=0s&after=users/0@1")
	f.Fuzz(func(t *testing.T, table, rest, query string) {
		if strings.Contains(query, "watch") || strings.Contains(query, "wait=") && !strings.Contains(query, "wait=0s") && !strings.Contains(query, "wait=1ns") {
			t.Skip("it would wait")
		}
		handler := alone(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/v1/topologies/shop/tables/" + table + "/" + rest, RawQuery: query}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s %s: got %s", table, rest, query, w.Body)
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"query":{"form":"range","limit":7,"from":"YQ==","behind":{"key":"aw=="},"wait":0},"partitions":[0]}`))
	f.Add([]byte(`{"query":{"form":"get","key":"aw==","limit":1,"after":"users/0@1","wait":1},"partitions":[0,1]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if strings.Contains(string(body), `"wait":`) && len(body) > 0 && !strings.Contains(string(body), `"wait":0`) && !strings.Contains(string(body), `"wait":1}`) {
			t.Skip("it would wait")
		}
		handler := alone(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/topologies/shop/tables/users/parts", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Raven-Asked-By", "p1")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s: got %s", body, w.Body)
		}
	})
}
