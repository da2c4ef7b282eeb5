package telemetry

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestNewLogger(t *testing.T) {
	cases := []struct{ name, format, level, want, err string }{
		{"text", "text", "info", `msg="record committed" topic=a`, ""},
		{"json", "json", "debug", `"msg":"record committed","topic":"a"`, ""},
		{"quiet below the level", "text", "error", "", ""},
		{"unknown level", "text", "loud", "", `read log level "loud": want debug, info, warn or error`},
		{"unknown format", "xml", "info", "", `read log format "xml": want text or json`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			log, err := NewLogger(&out, c.format, c.level)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.Info("record committed", "topic", "a")
			if !strings.Contains(out.String(), c.want) || (c.want == "" && out.Len() > 0) {
				t.Errorf("got %q, want %q in it", out.String(), c.want)
			}
		})
	}
}

func TestHandlerServesTheProcessNumbers(t *testing.T) {
	page := httptest.NewRecorder()
	Handler(NewRegistry()).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	if page.Code != 200 || !strings.Contains(page.Body.String(), "go_goroutines") {
		t.Errorf("got %d:\n%s", page.Code, page.Body)
	}
}

func TestProcessStartIsBeforeNowAndNotLongAgo(t *testing.T) {
	age := time.Since(ProcessStart())
	if age < 0 || age > time.Hour {
		t.Errorf("got an age of %s", age)
	}
}

func TestProcessAge(t *testing.T) {
	tail := " S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 8 0 12345 0 0"
	cases := []struct {
		name, stat, uptime string
		want               time.Duration
		ok                 bool
	}{
		{"plain", "7 (raven)" + tail, "124.00 1.0", 550 * time.Millisecond, true},
		{"a name with brackets and spaces", "7 (ra) ven)" + tail, "124.00 1.0", 550 * time.Millisecond, true},
		{"too short", "7 (raven) S 1", "124.00 1.0", 0, false},
		{"started in the future", "7 (raven)" + tail, "3.00 1.0", 0, false},
		{"nothing", "", "", 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := processAge(c.stat, c.uptime)
			if ok != c.ok || (got-c.want).Abs() > time.Millisecond {
				t.Errorf("got %s %t, want %s %t", got, ok, c.want, c.ok)
			}
		})
	}
}
