// Package admin is a node's HTTP API for the command line, dashboards and probes, and the client of it.
//
//	GET  /v1/status                     everything a node knows of itself
//	GET  /v1/routes                     the routes as they are decided by
//	POST /v1/routes/{service}/switch    {"version": "v2"}, empty takes it off
//	POST /v1/routes/{service}/split     {"shares": [{"version": "v2", "percent": "10%"}]}
//	POST /v1/routes/{service}/match     {"rule": {...}} or {"remove": "name"}
//	POST /v1/routes/{service}/mirror    {"mirror": {"version": "v2", "percent": "5%"}}, null ends it
//	POST /v1/routes/{service}/reset     back to what the files say
//	GET  /v1/tables, /v1/topologies/…   what the tables of topologies hold (see internal/tables)
//	POST /v1/topics/{topic}/records     write records
//	GET  /metrics, /healthz, /readyz    for Prometheus and probes
//
// Handlers decode, call one method of Node, and encode. They may be called concurrently.
//
// The API asks nobody who they are, so it must listen on loopback only. What a web page in a browser on the same
// machine could send is refused: foreign Host headers (a name that was rebound to 127.0.0.1), requests that say where
// they come from, and bodies that are not declared as JSON.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/router"
)

const bodyMax = 1 << 20

// handler is the API of one node.
type handler struct {
	node Node
	log  *slog.Logger
}

// Handler serves a node's API; metrics serves /metrics.
func Handler(node Node, metrics http.Handler, log *slog.Logger) http.Handler {
	h := &handler{node: node, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { h.write(w, http.StatusOK, node.Status()) })
	mux.HandleFunc("GET /v1/routes", func(w http.ResponseWriter, _ *http.Request) { h.write(w, http.StatusOK, node.Routes()) })
	mux.HandleFunc("POST /v1/routes/{service}/switch", edits(h, editSwitch))
	mux.HandleFunc("POST /v1/routes/{service}/split", edits(h, editSplit))
	mux.HandleFunc("POST /v1/routes/{service}/match", edits(h, editMatch))
	mux.HandleFunc("POST /v1/routes/{service}/mirror", edits(h, editMirror))
	mux.HandleFunc("POST /v1/routes/{service}/reset", edits(h, func(struct{}) (Edit, error) { return nil, nil }))
	if asked, ok := node.(Asked); ok {
		handler := asked.Tables()
		for _, path := range []string{"/v1/tables", "/v1/topologies/", "/v1/topics/"} {
			mux.Handle(path, handler)
		}
	}
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.ready)
	return h.localOnly(mux)
}

// NewServer makes a server with the bounds a server that strangers may reach needs.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.node.Ready(); err != nil {
		h.fail(w, &Error{Status: http.StatusServiceUnavailable, Message: err.Error()})
		return
	}
	fmt.Fprintln(w, "ready")
}

// localOnly lets nobody in but programs on this machine.
func (h *handler) localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !localHost(r.Host):
			h.fail(w, &Error{Status: http.StatusForbidden, Message: fmt.Sprintf("serve host %q: only loopback names are served", r.Host)})
		case r.Header.Get("Origin") != "":
			h.fail(w, &Error{Status: http.StatusForbidden, Message: "serve a web page: the API is not for browsers"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func localHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// edits makes the handler of one kind of change: the body is decoded strictly and turned into an Edit.
func edits[T any](h *handler, editOf func(T) (Edit, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		if err := decode(w, r, &body); err != nil {
			h.fail(w, err)
			return
		}
		edit, err := editOf(body)
		if err != nil {
			h.fail(w, err)
			return
		}
		change, err := h.node.EditRoute(r.Context(), r.PathValue("service"), edit)
		if err != nil {
			h.fail(w, err)
			return
		}
		h.log.Info("changed a route", "service", change.After.Service, "generation", change.After.Generation)
		h.write(w, http.StatusOK, change)
	}
}

func decode(w http.ResponseWriter, r *http.Request, body any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &Error{Status: http.StatusUnsupportedMediaType, Message: "read the request: want Content-Type application/json"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	d.DisallowUnknownFields()
	if err := d.Decode(body); err != nil {
		return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("read the request: %v", err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &Error{Status: http.StatusBadRequest, Message: "read the request: there is more behind the JSON object"}
	}
	return nil
}

func editSwitch(r switchRequest) (Edit, error) {
	return func(spec api.RouteSpec) (api.RouteSpec, error) { return router.Switch(spec, r.Version), nil }, nil
}

func editSplit(r splitRequest) (Edit, error) {
	return func(spec api.RouteSpec) (api.RouteSpec, error) { return router.SetSplit(spec, r.Shares), nil }, nil
}

func editMatch(r matchRequest) (Edit, error) {
	if (r.Rule == nil) == (r.Remove == "") {
		return nil, &Error{Status: http.StatusBadRequest, Message: "read the request: want either a rule or the name of one to remove"}
	}
	if r.Remove != "" {
		return func(spec api.RouteSpec) (api.RouteSpec, error) { return router.RemoveMatch(spec, r.Remove) }, nil
	}
	return func(spec api.RouteSpec) (api.RouteSpec, error) { return router.AddMatch(spec, *r.Rule), nil }, nil
}

func editMirror(r mirrorRequest) (Edit, error) {
	return func(spec api.RouteSpec) (api.RouteSpec, error) { return router.SetMirror(spec, r.Mirror), nil }, nil
}

func (h *handler) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		h.log.Debug("an answer was cut off", "err", err)
	}
}

// fail answers with an error; one that says no status of its own is about the request.
func (h *handler) fail(w http.ResponseWriter, err error) {
	answer, ok := errors.AsType[*Error](err)
	if !ok {
		answer = &Error{Status: http.StatusUnprocessableEntity, Message: err.Error()}
	}
	h.write(w, answer.Status, answer)
}
