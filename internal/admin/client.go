package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"ravenswood.dev/api"
)

// answerMax bounds what is read of an answer.
const answerMax = 64 << 20

// Client calls a node's API. Its methods may be called concurrently.
type Client struct {
	address string
	http    *http.Client
}

// NewClient makes a client for the API at host:port.
func NewClient(address string) *Client {
	return &Client{address: address, http: &http.Client{Timeout: 30 * time.Second}}
}

// UnreachableError says that no node answers.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("reach the node's admin API at %q: nobody answers there", e.Address)
}
func (e *UnreachableError) Unwrap() error { return e.Err }

// Status asks for everything the node knows of itself.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Routes asks for the routes, by service.
func (c *Client) Routes(ctx context.Context) (r []RouteView, err error) {
	return r, c.call(ctx, http.MethodGet, "/v1/routes", nil, &r)
}

// Switch sends every call of a service to one version; an empty version takes the switch off.
func (c *Client) Switch(ctx context.Context, service, version string) (RouteChange, error) {
	return c.edit(ctx, service, "switch", switchRequest{version})
}

// Split gives shares of keys to versions; none takes the split away.
func (c *Client) Split(ctx context.Context, service string, shares []api.Share) (RouteChange, error) {
	return c.edit(ctx, service, "split", splitRequest{shares})
}

// AddMatch puts a rule before all others, or replaces the one of its name.
func (c *Client) AddMatch(ctx context.Context, service string, rule api.Rule) (RouteChange, error) {
	return c.edit(ctx, service, "match", matchRequest{Rule: &rule})
}

// RemoveMatch takes a rule away.
func (c *Client) RemoveMatch(ctx context.Context, service, name string) (RouteChange, error) {
	return c.edit(ctx, service, "match", matchRequest{Remove: name})
}

// Mirror sets the shadow calls; nil ends them.
func (c *Client) Mirror(ctx context.Context, service string, m *api.Mirror) (RouteChange, error) {
	return c.edit(ctx, service, "mirror", mirrorRequest{m})
}

// Reset takes back what was changed at run time.
func (c *Client) Reset(ctx context.Context, service string) (RouteChange, error) {
	return c.edit(ctx, service, "reset", struct{}{})
}

func (c *Client) edit(ctx context.Context, service, verb string, body any) (change RouteChange, err error) {
	return change, c.call(ctx, http.MethodPost, "/v1/routes/"+url.PathEscape(service)+"/"+verb, body, &change)
}

func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &UnreachableError{Address: c.address, Err: err}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(response.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("read the answer of %q: %w", c.address, errors.Join(errNotOurs, err))
	}
	return nil
}

var errNotOurs = errors.New("it does not look like a node's admin API")

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, content)
	if err != nil {
		return nil, fmt.Errorf("reach the node's admin API at %q: %w", c.address, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// refusal is the node's own words if they are there.
func refusal(status int, raw []byte) error {
	said := &Error{Status: status}
	if json.Unmarshal(raw, said) == nil && said.Message != "" {
		return said
	}
	return fmt.Errorf("ask the node: it answered %d %s", status, http.StatusText(status))
}
