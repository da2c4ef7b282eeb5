package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"ravenswood.dev/stream/tables"
)

// The bounds of bodies.
const (
	produceBodyMax = 16 << 20
	partsBodyMax   = 4 << 20
)

// Handler serves everything, to whoever asks; who may ask at all is the caller's to decide:
//
//	GET  /v1/tables                                      the tables of all topologies that run here
//	GET  /v1/topologies/{t}/tables                       those of one
//	GET  /v1/topologies/{t}/tables/{name}                a range: from, to, prefix, limit, cursor; watch=true
//	GET  /v1/topologies/{t}/tables/{name}/{key}          one key; asOf; watch=true
//	GET  /v1/topologies/{t}/tables/{name}/{key}/windows  from, to, limit, cursor; also sessions and versions
//	POST /v1/topologies/{t}/tables/{name}/parts          what processes ask each other
//	POST /v1/topics/{topic}/records                      {"records": [{"key": "k", "value": {…}}]}
func (s *Service) Handler() http.Handler {
	mux := s.questionMux("a / in a key is written %2F, and the empty key is = with keyEncoding=base64")
	mux.HandleFunc("POST /v1/topics/{topic}/records", s.serveProduce)
	return mux
}

// Questions serves the questions to whoever bears one of the tokens, and nothing else: records are written to the cluster,
// which knows who may.
func (s *Service) Questions(tokens Tokens) http.Handler {
	return s.bearing(tokens, s.questionMux("the process's admin API, on its own machine, has more; records are written to the cluster"))
}

// questionMux serves questions, and says no to the rest with a hint.
func (s *Service) questionMux(hint string) *http.ServeMux {
	const table = "/v1/topologies/{topology}/tables/{table}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tables", s.listAll)
	mux.HandleFunc("GET /v1/topologies/{topology}/tables", s.list)
	mux.HandleFunc("GET "+table, s.question(readRange))
	mux.HandleFunc("GET "+table+"/{key}", s.question(readKey))
	for _, f := range []form{formWindows, formSessions, formVersions} {
		mux.HandleFunc("GET "+table+"/{key}/"+string(f), s.question(func(p *params, _ *target) (*query, error) { return readSpan(p, f) }))
	}
	mux.HandleFunc("POST "+table+"/parts", s.serveParts)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, &tables.Error{Status: http.StatusNotFound, Code: tables.BadRequest, Hint: hint,
			Message: fmt.Sprintf("serve %s %q: there is no such question", r.Method, clip(r.URL.Path))})
	})
	return mux
}

// bearing lets nobody in without a token. A stranger learns nothing, not even what there is, and does not keep the
// connection.
func (s *Service) bearing(tokens Tokens, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !tokens.admit(given) || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Connection", "close")
			s.fail(w, &tables.Error{Status: http.StatusUnauthorized, Code: tables.Forbidden, Message: "ask a table: the token is missing or wrong"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Service) listAll(w http.ResponseWriter, _ *http.Request) {
	all := []tables.Table{}
	for _, e := range s.engines() {
		all = append(all, describe(e)...)
	}
	s.write(w, http.StatusOK, map[string]any{"tables": all})
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) {
	e, err := s.engine(r.PathValue("topology"))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.write(w, http.StatusOK, map[string]any{"tables": describe(e)})
}

// question serves one kind of question.
func (s *Service) question(read func(*params, *target) (*query, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if by := r.Header.Get(askedBy); by != "" {
			s.fail(w, &tables.Error{Status: http.StatusLoopDetected, Code: tables.BadRequest, Message: fmt.Sprintf("ask a table: process %q passed on what must not be passed on again", by)})
			return
		}
		if err := s.answer(w, r, read); err != nil {
			s.fail(w, err)
		}
	}
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, read func(*params, *target) (*query, error)) error {
	t, err := s.find(r.PathValue("topology"), r.PathValue("table"))
	if err != nil {
		return err
	}
	p := newParams(r, t)
	if p.flag("watch") {
		return s.serveWatch(w, r, t, p)
	}
	q, err := read(p, t)
	if err == nil {
		err = q.fits(t.table.Name, t.table.Store.Kind)
	}
	if err == nil {
		err = p.finish(q)
	}
	if err != nil {
		return err
	}
	if err := s.questions.enter(); err != nil {
		return err
	}
	defer s.questions.leave()
	unbound(w)
	a, err := s.ask(r.Context(), t, q)
	if err != nil {
		return err
	}
	return s.show(w, t, q, p.coding, a)
}

// unbound lifts the server's bounds on time, which are for requests that do not wait; ours has one of its own.
func unbound(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // a recorder in a test has none
	_ = c.SetWriteDeadline(time.Now().Add(tables.WaitMax + 2*answerTimeout))
}

func (s *Service) show(w http.ResponseWriter, t *target, q *query, c tables.Coding, a *answer) error {
	if !q.one() {
		page := tables.ShownPage{Entries: []tables.Shown{}, Stale: a.stale}
		for _, e := range a.entries {
			page.Entries = append(page.Entries, c.Show(t.shown(e)))
		}
		if a.more && len(a.entries) > 0 {
			page.Next = cursorOf(a.entries[len(a.entries)-1])
		}
		s.write(w, http.StatusOK, page)
		return nil
	}
	if len(a.entries) == 0 {
		key, _ := tables.Text.Format(q.Key)
		return &tables.Error{Status: http.StatusNotFound, Code: tables.NoKey, Stale: a.stale,
			Message: fmt.Sprintf("ask table %q of topology %q: it has no key %q", t.table.Name, t.plan.Name, clip(key))}
	}
	shown := tables.ShownAnswer{Shown: c.Show(t.shown(a.entries[0])), By: a.by, Stale: a.stale}
	if !t.global() {
		shown.Partition = partitionOf(q.Key, max(len(t.engine.Owners(t.table.Stage)), 1))
	}
	s.write(w, http.StatusOK, shown)
	return nil
}

// serveParts answers another process for this one, and only for this one.
func (s *Service) serveParts(w http.ResponseWriter, r *http.Request) {
	p, err := s.answerParts(w, r)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.write(w, http.StatusOK, p)
}

func (s *Service) answerParts(w http.ResponseWriter, r *http.Request) (*parts, error) {
	if r.Header.Get(askedBy) == "" {
		return nil, &tables.Error{Status: http.StatusForbidden, Code: tables.Forbidden, Message: "ask for parts of a table: only processes of the topology do that", Hint: "ask for the table itself"}
	}
	t, err := s.find(r.PathValue("topology"), r.PathValue("table"))
	if err != nil {
		return nil, err
	}
	var ask partsRequest
	if err := decode(w, r, partsBodyMax, &ask); err != nil {
		return nil, err
	}
	if err := ask.check(t); err != nil {
		return nil, err
	}
	if err := s.parts.enter(); err != nil {
		return nil, err
	}
	defer s.parts.leave()
	unbound(w)
	ctx, cancel := context.WithTimeout(r.Context(), ask.Query.Wait+answerTimeout)
	defer cancel()
	return s.here(ctx, t, &ask.Query, ask.Partitions)
}

// partitionsMax is more than a question of ours can name.
const partitionsMax = 10_000

// check holds another process to the bounds of this one: it may be of another version.
func (ask *partsRequest) check(t *target) error {
	q := &ask.Query
	if err := q.fits(t.table.Name, t.table.Store.Kind); err != nil {
		return err
	}
	if q.Limit < 1 || q.Limit > tables.LimitMax || q.Wait < 0 || q.Wait > tables.WaitMax || t.global() || len(ask.Partitions) > partitionsMax {
		return badRequest("ask for parts of table %q: the question is out of bounds", t.table.Name)
	}
	if q.Key == nil && (q.one() || q.Form == formVersions) {
		return badRequest("ask for parts of table %q: there is no key", t.table.Name)
	}
	for _, p := range ask.Partitions {
		if p < 0 {
			return badRequest("ask for parts of table %q: partition %d", t.table.Name, p)
		}
	}
	return nil
}

func (s *Service) serveProduce(w http.ResponseWriter, r *http.Request) {
	var request tables.ProduceRequest
	err := decode(w, r, produceBodyMax, &request)
	if err == nil {
		err = s.questions.enter()
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	defer s.questions.leave()
	unbound(w)
	a, err := s.produce(r.Context(), r.PathValue("topic"), request)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.write(w, http.StatusOK, a)
}

// decode reads a body strictly. A body that is not declared as JSON is what a web page could send without being asked.
func decode(w http.ResponseWriter, r *http.Request, most int64, body any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		e := badRequest("read the request: want Content-Type application/json")
		e.Status = http.StatusUnsupportedMediaType
		return e
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(body); err != nil {
		return badRequest("read the request: %s", clip(err.Error()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("read the request: there is more behind the JSON object")
	}
	return nil
}

func (s *Service) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.logger.Debug("an answer was cut off", "err", err)
	}
}

func (s *Service) fail(w http.ResponseWriter, err error) {
	said, ok := errors.AsType[*tables.Error](err)
	if !ok {
		said = &tables.Error{Status: http.StatusInternalServerError, Code: tables.Failed, Message: err.Error()}
	}
	s.write(w, said.Status, said)
}
