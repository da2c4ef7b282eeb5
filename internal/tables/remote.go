package tables

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"ravenswood.dev/stream/tables"
)

// askedBy is the header that names the process which passes a question on. Who gets it answers by itself.
const askedBy = "Raven-Asked-By"

// partsMaxBytes bounds what is read of another process's answer: a page in base64, whose last value may be of any size.
const partsMaxBytes = 96 << 20

// How long a process is waited for while somebody else could be asked instead.
const (
	tryOne  = 2 * time.Second
	tryMany = 5 * time.Second
)

// partsRequest is what one process asks another.
type partsRequest struct {
	Query      query   `json:"query"`
	Partitions []int32 `json:"partitions"`
}

// put puts a question to one process: this one, or another.
func (s *Service) put(ctx context.Context, t *target, q *query, g *group) (*parts, error) {
	own := *q
	own.Stale = g.to.stale
	if g.to.Local {
		return s.here(ctx, t, &own, g.partitions())
	}
	if g.to.Address == "" {
		return nil, fmt.Errorf("ask process %q: it answers nobody", g.to.ID)
	}
	if !g.last {
		patience := tryMany
		if q.one() {
			patience = tryOne
		}
		if q.After != "" {
			patience += q.Wait // that is where the wait runs
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return s.pass(ctx, t, g.to.Instance, partsRequest{Query: own, Partitions: g.partitions()})
}

// pass asks another process.
func (s *Service) pass(ctx context.Context, t *target, to Instance, ask partsRequest) (*parts, error) {
	request, err := s.asking(ctx, t, to, ask)
	if err != nil {
		return nil, s.unasked(to, err)
	}
	response, err := s.client.Do(request)
	if _, distrusted := errors.AsType[*tls.CertificateVerificationError](err); distrusted {
		err = &misfitError{err}
	}
	if err != nil {
		return nil, s.unasked(to, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized {
		return nil, s.unasked(to, &misfitError{errors.New("it wants another token than this process has")})
	}
	return readParts(response, to)
}

// unasked says that a process could not be asked. Whoever runs the processes is told what does not pass by itself.
func (s *Service) unasked(to Instance, err error) error {
	if _, misfit := errors.AsType[*misfitError](err); misfit && s.faults.due(time.Now()) {
		s.logger.Warn("another process cannot be asked for its part of a table", "process", to.ID, "address", clip(to.Address), "err", err)
	}
	return fmt.Errorf("ask process %q: %w", to.ID, err)
}

// asking is the request that puts a question to another process.
func (s *Service) asking(ctx context.Context, t *target, to Instance, ask partsRequest) (*http.Request, error) {
	at, err := s.peers.endpointOf(to.Address)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("write question: %w", err)
	}
	target := at.url + "/v1/topologies/" + url.PathEscape(t.plan.Name) + "/tables/" + url.PathEscape(t.table.Name) + "/parts"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(askedBy, s.id)
	if at.token != "" {
		request.Header.Set("Authorization", "Bearer "+at.token)
	}
	return request, nil
}

func readParts(response *http.Response, to Instance) (*parts, error) {
	raw, err := io.ReadAll(io.LimitReader(response.Body, partsMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("ask process %q: %w", to.ID, err)
	}
	if len(raw) > partsMaxBytes {
		return nil, fmt.Errorf("ask process %q: its answer is too large", to.ID)
	}
	if response.StatusCode != http.StatusOK {
		said := &tables.Error{Status: response.StatusCode}
		if json.Unmarshal(raw, said) == nil && said.Message != "" {
			return nil, said
		}
		return nil, fmt.Errorf("ask process %q: it answered %d", to.ID, response.StatusCode)
	}
	p := &parts{}
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("ask process %q: read its answer: %w", to.ID, err)
	}
	return p, nil
}
