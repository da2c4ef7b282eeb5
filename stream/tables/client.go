package tables

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answerMax bounds what is read of an answer: a page, which is bounded itself but for one value of any size.
const answerMax = 96 << 20

// Options change what a Client does. The zero value will do on the machine of the processes.
type Options struct {
	// Token is what processes want at their tables listeners. It is sent by https, to this machine, and where the address
	// says http:// in so many letters.
	Token string
	// TLS says whose certificates are believed, for addresses of https; nil: those of the system's authorities.
	TLS *tls.Config
	// HTTP is the client to use instead of one of its own; TLS is its business then. Redirects are never followed.
	HTTP *http.Client
}

// Client asks processes that run topologies.
type Client struct {
	addresses []string
	token     string
	http      *http.Client
}

// NewClient makes a client of the processes at these addresses: host:port of their admin APIs, on their own machine, or
// https://host:port of their tables listeners. The first one that answers is taken, for each question anew; one is enough.
func NewClient(o Options, addresses ...string) *Client {
	h := http.Client{Transport: newTransport(o.TLS)}
	if o.HTTP != nil {
		h = *o.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{addresses: addresses, token: o.Token, http: &h}
}

// connectionsKept is how many connections a client keeps for its next questions. Go's usual two would have a busy client
// open one for most of them.
const connectionsKept = 64

func newTransport(config *tls.Config) http.RoundTripper {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has its own ideas
	}
	t := usual.Clone()
	t.MaxIdleConnsPerHost = connectionsKept
	if config != nil {
		t.TLSClientConfig = config.Clone()
	}
	return t
}

// Tables lists the tables of a topology; of all that the process runs if the name is empty.
func (c *Client) Tables(ctx context.Context, topology string) ([]Table, error) {
	path := "/v1/tables"
	if topology != "" {
		path = "/v1/topologies/" + url.PathEscape(topology) + "/tables"
	}
	var list struct {
		Tables []Table `json:"tables"`
	}
	err := c.call(ctx, http.MethodGet, path, nil, nil, &list)
	return list.Tables, err
}

// Table names a table to ask. Nothing is checked before the first question.
func (c *Client) Table(topology, name string) *Handle {
	return &Handle{client: c, path: "/v1/topologies/" + url.PathEscape(topology) + "/tables/" + url.PathEscape(name)}
}

// Handle asks one table.
type Handle struct {
	client *Client
	path   string
}

// Get returns the entry of a key; of a versioned table, the latest version. ErrNoKey says that there is none.
func (h *Handle) Get(ctx context.Context, key []byte, ask Ask) (Answer, error) {
	return h.one(ctx, key, ask.values())
}

// AsOf returns the version of a key that was valid at a time.
func (h *Handle) AsOf(ctx context.Context, key []byte, at time.Time, ask Ask) (Answer, error) {
	v := ask.values()
	v.Set("asOf", showTime(at))
	return h.one(ctx, key, v)
}

func (h *Handle) one(ctx context.Context, key []byte, v url.Values) (Answer, error) {
	var shown ShownAnswer
	if err := h.client.call(ctx, http.MethodGet, h.keyPath(key), v, nil, &shown); err != nil {
		return Answer{}, err
	}
	e, err := plain.Read(shown.Shown)
	return Answer{Entry: e, Partition: shown.Partition, By: shown.By, Stale: shown.Stale}, ours(err)
}

// Range returns a page of entries in the order of their keys.
func (h *Handle) Range(ctx context.Context, r Range) (Page, error) {
	v := r.values()
	setKey(v, "from", r.From)
	setKey(v, "to", r.To)
	setKey(v, "prefix", r.Prefix)
	setPage(v, r.Limit, r.Cursor)
	return h.page(ctx, h.path, v)
}

// All runs over all pages of a range. Entries of different pages may be of different moments.
func (h *Handle) All(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			page, err := h.Range(ctx, r)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
			}
			if r.Cursor = page.Next; r.Cursor == "" {
				return
			}
		}
	}
}

// Windows returns the windows of a key that begin within the span, the oldest first. A nil key means all keys of a
// window or session table.
func (h *Handle) Windows(ctx context.Context, key []byte, s Span) (Page, error) {
	return h.span(ctx, key, "windows", s)
}

// Sessions returns the sessions of a key that overlap the span, the one that ended first first. A nil key means all keys.
func (h *Handle) Sessions(ctx context.Context, key []byte, s Span) (Page, error) {
	return h.span(ctx, key, "sessions", s)
}

// Versions returns the history of a key within the span, the oldest version first; a deletion has a nil value.
func (h *Handle) Versions(ctx context.Context, key []byte, s Span) (Page, error) {
	return h.span(ctx, key, "versions", s)
}

func (h *Handle) span(ctx context.Context, key []byte, what string, s Span) (Page, error) {
	v, path := s.values(), h.path
	if key != nil {
		path = h.keyPath(key) + "/" + what
	}
	setTime(v, "from", s.From)
	setTime(v, "to", s.To)
	setKey(v, "prefix", s.Prefix)
	setPage(v, s.Limit, s.Cursor)
	return h.page(ctx, path, v)
}

func (h *Handle) page(ctx context.Context, path string, v url.Values) (Page, error) {
	var shown ShownPage
	if err := h.client.call(ctx, http.MethodGet, path, v, nil, &shown); err != nil {
		return Page{}, err
	}
	p := Page{Next: shown.Next, Stale: shown.Stale}
	for _, s := range shown.Entries {
		e, err := plain.Read(s)
		if err != nil {
			return Page{}, ours(err)
		}
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// plain is how the client has keys and values written: any bytes come through.
var plain = Coding{Key: Base64, Value: Base64}

// ShownAnswer is an Answer in JSON.
type ShownAnswer struct {
	Shown
	Partition int32  `json:"partition"`
	By        string `json:"by"`
	Stale     *Stale `json:"stale,omitempty"`
}

// ShownPage is a Page in JSON.
type ShownPage struct {
	Entries []Shown `json:"entries"`
	Next    string  `json:"next,omitempty"`
	Stale   *Stale  `json:"stale,omitempty"`
}

// keyPath never holds an empty part, or one that means something else: base64 sees to that.
func (h *Handle) keyPath(key []byte) string {
	s, _ := Base64.Format(key)
	return h.path + "/" + url.PathEscape(s)
}

func (a Ask) values() url.Values {
	v := url.Values{"keyEncoding": {string(Base64)}, "valueEncoding": {string(Base64)}}
	if a.Fresh {
		v.Set("fresh", "require")
	}
	if !a.After.IsZero() {
		v.Set("after", a.After.String())
	}
	if a.Wait > 0 {
		v.Set("wait", a.Wait.String())
	}
	return v
}

func setKey(v url.Values, name string, key []byte) {
	if key != nil {
		s, _ := Base64.Format(key)
		v.Set(name, s)
	}
}

func setTime(v url.Values, name string, t time.Time) {
	if !t.IsZero() {
		v.Set(name, showTime(t))
	}
}

func setPage(v url.Values, limit int, cursor string) {
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
}

// call asks one address after the other until one answers.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	if err := checkLength(path, query); err != nil {
		return err
	}
	last := errNoAddress
	for _, address := range c.addresses {
		response, err := c.do(ctx, address, method, path, query, body)
		if err == nil {
			err = c.read(response, address, answer)
		}
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if last = err; !goesOn(err, method) {
			break
		}
	}
	return last
}

// goesOn says whether another process may be asked the same: this one is gone, and did nothing, or what it did can be done
// again; or it has too much to do.
func goesOn(err error, method string) bool {
	if _, gone := errors.AsType[*UnreachableError](err); gone {
		return method == http.MethodGet || notConnected(err)
	}
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Code == Busy
}

// addressMax is how long the path and query of a question may be: processes take 64 kB, with all other headers.
const addressMax = 60_000

// checkLength refuses what a process would refuse without a word.
func checkLength(path string, query url.Values) error {
	n := len(path) + len(query.Encode())
	if n <= addressMax {
		return nil
	}
	return &Error{
		Status: http.StatusRequestURITooLong, Code: BadRequest, Message: fmt.Sprintf("ask a table: the question has %d bytes, the most is %d", n, addressMax),
		Hint: "a key is part of the address that is asked, and so is a token: use shorter ones",
	}
}

// errNoAddress says that a client was made without any.
var errNoAddress = errors.New("ask a process: no address is known")

func notConnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// errCutOff says that an answer ended too early, as that of a process that is killed.
var errCutOff = errors.New("its answer was cut off")

// base is the URL of an address. A token is not sent where others could read it because somebody forgot to say https.
func (c *Client) base(address string) (string, error) {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return strings.TrimSuffix(address, "/"), nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", errAddress
	}
	if ip := net.ParseIP(host); c.token != "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", errTokenInTheClear
	}
	return "http://" + address, nil
}

var (
	errAddress         = errors.New("want host:port or https://host:port")
	errTokenInTheClear = errors.New("a token is sent by https; say https:// before the address, or http:// if others may read it")
)

func (c *Client) do(ctx context.Context, address, method, path string, query url.Values, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	base, err := c.base(address)
	if err != nil {
		return nil, &UnreachableError{Address: address, Err: err}
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, &UnreachableError{Address: address, Err: err}
	}
	return response, nil
}

func (c *Client) read(response *http.Response, address string, answer any) error {
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return &UnreachableError{Address: address, Err: fmt.Errorf("%w: %w", errCutOff, err)}
	}
	if response.StatusCode != http.StatusOK {
		return refusal(response.StatusCode, raw)
	}
	return ours(json.Unmarshal(raw, answer))
}

// ours marks an answer that no process of a topology would give.
func ours(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the answer: it does not look like that of a process that runs topologies: %w", err)
}

// refusal is the process's own words if they are there.
func refusal(status int, raw []byte) error {
	said := &Error{Status: status}
	if json.Unmarshal(raw, said) == nil && said.Message != "" {
		return said
	}
	if status == http.StatusBadRequest && bytes.Contains(raw, []byte("HTTP request to an HTTPS server")) { // Go's own words
		return &Error{Status: status, Code: BadRequest, Message: "ask the process: it speaks TLS", Hint: "say https:// before its address"}
	}
	return &Error{Status: status, Code: Failed, Message: fmt.Sprintf("ask the process: it answered %d %s", status, http.StatusText(status))}
}
