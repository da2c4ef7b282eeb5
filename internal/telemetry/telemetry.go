// Package telemetry makes the process's log and its metrics page, and is the one place that names metrics.
//
// Everything here is made once at the start and handed on; there is no global logger and no default registry. Loggers
// and registries may be used from any goroutine.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewLogger makes a logger that writes to w. Formats are text and json; levels are debug, info, warn and error.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("read log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		options.ReplaceAttr = shortTime
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("read log format %q: want text or json", format)
}

// shortTime leaves out the date and the zone, which a person at a terminal knows. JSON logs keep them.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

// NewRegistry makes a metrics registry with the numbers every Go process has.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler serves a registry in Prometheus' text format.
func Handler(r prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// ProcessStart says when this process began, as the kernel tells it, so that time spent before main is counted too.
// Where the kernel cannot be asked it is now, which is right to some tens of milliseconds when called first in main.
func ProcessStart() time.Time {
	now := time.Now()
	stat, err1 := os.ReadFile("/proc/self/stat")
	uptime, err2 := os.ReadFile("/proc/uptime")
	if err1 != nil || err2 != nil {
		return now
	}
	age, ok := processAge(string(stat), string(uptime))
	if !ok {
		return now
	}
	return now.Add(-age)
}

// processAge works out the age of a process from Linux's own words: field 22 of stat is its start in hundredths of a
// second since boot, and the command's name in field 2 may hold spaces and brackets.
func processAge(stat, uptime string) (time.Duration, bool) {
	_, rest, ok := cutAfterLast(stat, ") ")
	fields := strings.Fields(rest)
	up, _, ok2 := strings.Cut(uptime, " ")
	if !ok || !ok2 || len(fields) < 20 {
		return 0, false
	}
	ticks, err1 := strconv.ParseInt(fields[19], 10, 64)
	seconds, err2 := strconv.ParseFloat(up, 64)
	age := time.Duration(seconds*float64(time.Second)) - time.Duration(ticks)*(time.Second/100)
	if err1 != nil || err2 != nil || age < 0 || age > 24*time.Hour {
		return 0, false
	}
	return age, true
}

func cutAfterLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
