package demo_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ravenswood.dev/internal/demo"
)

func TestHandler(t *testing.T) {
	svc := demo.Options{Name: "svc1", Version: "v2"}
	users := demo.Options{Name: "users", Version: "v1"}
	cases := []struct {
		name         string
		options      demo.Options
		method, body string
		status       int
		want         string
	}{
		{"a service says which version it is", svc, "POST", `{"userId":"u7","value":3}`, 200, `{"service":"svc1","version":"v2","score":`},
		{"users knows name and segment", users, "POST", `{"userId":"u7"}`, 200, `{"name":"`},
		{"users takes an id that is a number", users, "POST", `{"userId":7}`, 200, `"segment":"`},
		{"a fault on request", demo.Options{Name: "svc1", FailRate: 1}, "POST", `{}`, 503, "told to fail"},
		{"an event that is no object", svc, "POST", `[1]`, 400, "not a JSON object"},
		{"an event that is too large", svc, "POST", `"` + strings.Repeat("a", 3<<20) + `"`, 413, "too large"},
		{"another method", svc, "DELETE", "", 405, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := httptest.NewRecorder()
			demo.Handler(c.options).ServeHTTP(got, httptest.NewRequest(c.method, "/", strings.NewReader(c.body)))
			if got.Code != c.status || !strings.Contains(got.Body.String(), c.want) {
				t.Errorf("got %d %q, want %d with %q", got.Code, got.Body, c.status, c.want)
			}
		})
	}
}

func TestHealthAnswers(t *testing.T) {
	got := httptest.NewRecorder()
	demo.Handler(demo.Options{Name: "svc1"}).ServeHTTP(got, httptest.NewRequest("GET", "/health", nil))
	if got.Code != http.StatusOK {
		t.Errorf("got %d", got.Code)
	}
}

func TestUserOfIsStableAndFillsEverySegment(t *testing.T) {
	count := map[string]int{}
	for i := range 1000 {
		id := strings.Repeat("u", i%7) + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		user, again := demo.UserOf(id), demo.UserOf(id)
		if user != again {
			t.Fatalf("two users for id %q", id)
		}
		count[user.Segment]++
	}
	for segment, about := range map[string]int{"gold": 100, "silver": 300, "standard": 600} {
		if n := count[segment]; n < about/2 || n > about*2 {
			t.Errorf("segment %s has %d of 1000, want about %d", segment, n, about)
		}
	}
}
