package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// proxyBuffer is how long an answer may be that is held back until it is complete; a longer one is passed on as it comes.
const proxyBuffer = 64 << 10

// bodyWithin is how long a caller may take to send its request.
const bodyWithin = 30 * time.Second

// Handler serves the routes as an HTTP proxy for programs in any language: /SERVICE/REST goes to the version that the
// route decides on, with method, REST, query, headers and body as they came. Without REST it goes to the service's path.
//
// Rules look at the body, if it is JSON, and at the headers; a split takes its key from the field it names, else from
// the header X-Raven-Key, else from Idempotency-Key. An answer carries the version and the reason in X-Raven-Version and
// X-Raven-Why. What the router itself has to say is JSON with code and message. GET / lists the routes.
func (r *Router) Handler() http.Handler {
	// No ServeMux: it answers paths it finds unclean with a redirect, and what a path means is the service's business.
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		service, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.EscapedPath(), "/"), "/")
		if service == "" {
			r.serveRoutes(w, req)
			return
		}
		r.serveCall(w, req, service, rest)
	})
}

func (r *Router) serveRoutes(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeJSON(w, http.StatusMethodNotAllowed, proxyError{CodeUnknownService, "call a service: name it first in the path, such as /users/enrich"})
		return
	}
	writeJSON(w, http.StatusOK, r.Routes())
}

func (r *Router) serveCall(w http.ResponseWriter, req *http.Request, service, rest string) {
	body, failure := r.readBody(w, req, service)
	if failure != nil {
		writeError(w, failure)
		return
	}
	c := proxiedCall(req, service, body)
	s, d, failure := r.decide(c)
	if failure != nil {
		writeError(w, failure)
		return
	}
	s.metrics.decided(d)
	p := &proxied{service: s, decision: d, version: s.versions[d.Version], w: w, headOnly: req.Method == http.MethodHead}
	p.request = p.newRequest(req, rest, c.IdempotencyKey, body)
	p.serve(req)
}

func (r *Router) readBody(w http.ResponseWriter, req *http.Request, service string) ([]byte, *Error) {
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyWithin)) // a server that cannot is one of a test
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.maxBody))
	_ = deadline.SetReadDeadline(time.Time{})
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return nil, &Error{Service: service, Code: CodeBodyTooLarge, Detail: "the request body is too large", Err: err}
	}
	if err != nil {
		return nil, &Error{Service: service, Code: CodeBodyBroken, Detail: "read request body: " + oneLine(err.Error()), Err: err}
	}
	return body, nil
}

// proxiedCall is the request as the decision sees it, just as if a bolt had made it.
func proxiedCall(req *http.Request, service string, body []byte) component.Call {
	c := component.Call{
		Service:        service,
		Key:            []byte(req.Header.Get(HeaderKey)),
		Headers:        recordHeaders(req.Header),
		IdempotencyKey: req.Header.Get("Idempotency-Key"),
	}
	if document.Valid(body) == nil {
		c.Event = body
	}
	return c
}

// recordHeaders is an HTTP header as a record has it. Several values of a name become one, joined as HTTP joins them.
func recordHeaders(h http.Header) []record.Header {
	out := make([]record.Header, 0, len(h))
	for name, values := range h {
		out = append(out, record.Header{Key: name, Value: []byte(strings.Join(values, ", "))})
	}
	return out
}

// proxied is one request on its way through the proxy.
type proxied struct {
	service  *service
	decision Decision
	version  *version
	request  *request
	w        http.ResponseWriter
	headOnly bool
	started  bool   // the head of the answer is out
	kept     []byte // the answer, kept for a comparison
}

func (p *proxied) newRequest(in *http.Request, rest, idempotencyKey string, body []byte) *request {
	h := in.Header.Clone()
	removeHopByHop(h)
	h.Del(HeaderKey)
	h.Del("Expect") // answered by our own server
	stamp(h, p.service.name, p.version.name)
	r := &request{
		method: in.Method, path: rest, query: in.URL.RawQuery, header: h, body: body,
		idempotencyKey: idempotencyKey, timeout: time.Duration(p.service.spec.Timeout),
	}
	if rest == "" && r.query != "" {
		r.path, _, _ = strings.Cut(p.service.spec.Path, "?")
	}
	return r
}

// removeHopByHop takes out what is about one connection, also what the Connection header names.
func removeHopByHop(h http.Header) {
	for _, value := range h.Values("Connection") {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for name := range h {
		if hopByHop(name) {
			h.Del(name)
		}
	}
}

func (p *proxied) serve(in *http.Request) {
	failure := p.service.exchange(in.Context(), p.version, p.request, p.pass)
	switch {
	case failure == nil:
		if p.decision.Mirror && p.kept != nil {
			p.service.mirror.offer(p.service.route.Load(), p.request, p.kept)
		}
	case p.started && failure.Code != CodeStatus:
		// The head is out and says that all is well: only breaking the connection can still tell the caller.
		panic(http.ErrAbortHandler)
	case !p.started && p.service.fallback != nil && failure.down():
		p.writeFallback()
	case !p.started:
		p.stamp()
		writeError(p.w, failure)
	}
}

// pass hands a service's answer through. Only a redirect and an answer that is too large are the router's business; the
// error it returns for other bad answers is for counting.
func (p *proxied) pass(resp *http.Response) *Error {
	most := int64(p.service.spec.MaxAnswer)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified:
		return fromStatus(resp, nil)
	case resp.ContentLength > most && !p.headOnly:
		return tooLarge(most)
	}
	if resp.ContentLength <= proxyBuffer && !p.headOnly {
		if failure := holdBody(resp); failure != nil {
			return failure
		}
	}
	p.writeHead(resp)
	if failure := p.copyBody(resp, most); failure != nil {
		return failure
	}
	if resp.StatusCode >= 400 {
		return fromStatus(resp, nil)
	}
	return nil
}

// holdBody reads an answer whose length is known before any of it goes out, so that a connection that breaks is told as an
// error and not by a broken connection.
func holdBody(resp *http.Response) *Error {
	if resp.ContentLength <= 0 {
		return nil
	}
	body := make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		return bodyBroke(err)
	}
	resp.Body = heldBody{bytes.NewReader(body), resp.Body}
	return nil
}

// heldBody is a body that has been read, with the connection it came from.
type heldBody struct {
	io.Reader
	io.Closer
}

func (p *proxied) writeHead(resp *http.Response) {
	h := p.w.Header()
	removeHopByHop(resp.Header)
	maps.Copy(h, resp.Header)
	if _, said := resp.Header["Content-Type"]; !said {
		h["Content-Type"] = nil // or net/http would guess one
	}
	p.stamp()
	p.w.WriteHeader(resp.StatusCode)
	p.started = true
}

func (p *proxied) stamp() {
	p.w.Header().Set(HeaderVersion, p.decision.Version)
	p.w.Header().Set(HeaderWhy, p.decision.Why)
}

func (p *proxied) copyBody(resp *http.Response, most int64) *Error {
	var to io.Writer = p.w
	var keep bytes.Buffer
	if p.decision.Mirror && p.service.mirror.wantsBody(resp) {
		to = io.MultiWriter(p.w, &keep)
	}
	out := &clientWriter{to: to}
	if resp.ContentLength < 0 {
		out.flush = http.NewResponseController(p.w)
	}
	n, err := io.Copy(out, io.LimitReader(resp.Body, most+1))
	switch {
	case out.err != nil:
		return &Error{Code: CodeCanceled, Detail: "the caller went away", Err: out.err}
	case err != nil:
		return bodyBroke(err)
	case n > most:
		return tooLarge(most)
	}
	if to != p.w {
		p.kept = keep.Bytes()
	}
	return nil
}

// clientWriter remembers whether it was the caller who went away. It passes on each piece of an answer of unknown length
// at once: it may be a stream whose pieces are far apart.
type clientWriter struct {
	to    io.Writer
	flush *http.ResponseController
	err   error
}

func (c *clientWriter) Write(b []byte) (n int, err error) {
	n, err = c.to.Write(b)
	if err == nil && c.flush != nil {
		err = c.flush.Flush()
	}
	c.err = err
	return n, err
}

func (p *proxied) writeFallback() {
	h := p.w.Header()
	h["Content-Type"] = slices.Clone(jsonType)
	h.Set(HeaderDegraded, "1")
	h.Set(HeaderWhy, p.decision.Why)
	_, _ = p.w.Write(p.service.fallback) // the caller went away: nothing to be done
}

// proxyError is how the router itself answers.
type proxyError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func writeError(w http.ResponseWriter, e *Error) {
	writeJSON(w, e.proxyStatus(), proxyError{e.Code, e.Error()})
}

// proxyStatus is the HTTP status that tells a caller what to do: 503 come back later, 502 and 504 the service's doing,
// 4xx the caller's.
func (e *Error) proxyStatus() int {
	switch e.Code {
	case CodeUnknownService:
		return http.StatusNotFound
	case CodeBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeBodyBroken:
		return http.StatusBadRequest
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeUnreachable, CodeNoEndpoint, CodeBreakerOpen, CodeRetryBudget, CodeCanceled:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header()["Content-Type"] = slices.Clone(jsonType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller went away: nothing to be done
}
