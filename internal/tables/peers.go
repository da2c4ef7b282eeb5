package tables

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Peers is how this process asks others at the listeners they have for that. The zero value asks only those that want no
// token, on this machine.
type Peers struct {
	Tokens Tokens             // what they want; never logged
	TLS    func() *tls.Config // whose certificates are believed, asked for each connection; nil: those of the system's authorities
	Plain  bool               // the token may go to other machines without TLS
}

// Tokens are the tokens of now, asked for each time: the first is shown to others, all of them let others in. Two are
// needed to go from one token to the next while processes ask each other. It may be nil, and what it returns empty.
type Tokens func() []string

// shown is the token that others are shown; empty if there is none.
func (t Tokens) shown() string {
	if all := t.accepted(); len(all) > 0 {
		return all[0]
	}
	return ""
}

func (t Tokens) accepted() []string {
	if t == nil {
		return nil
	}
	return t()
}

// admit says whether a token is one of those that are accepted. Digests are compared, and all of them, so that the time
// it takes does not depend on what the tokens are, nor on their length. The empty token is never accepted.
func (t Tokens) admit(given string) bool {
	got, found := sha256.Sum256([]byte(given)), 0
	for _, token := range t.accepted() {
		want := sha256.Sum256([]byte(token))
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1 && given != ""
}

// Announced is what a process with a listener tells its group, so that the others know how to ask it. Without a
// listener it tells the address of its admin API as it is.
func Announced(encrypted bool, hostport string) string {
	if encrypted {
		return "https://" + hostport
	}
	return "http://" + hostport
}

// endpoint is where another process is asked.
type endpoint struct {
	url   string // scheme, host and port
	token string // what it wants, if it is a listener for tables; an admin API wants none
}

// endpointOf reads what a process told its group. That may be anybody who can join it: whatever is not one of the two
// forms is refused, and so is to send the token where others could read it.
func (p *Peers) endpointOf(address string) (endpoint, error) {
	scheme, hostport, found := strings.Cut(address, "://")
	if !found {
		scheme, hostport = "http", address
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || host == "" || port == "" || strings.ContainsAny(hostport, "/@?#%\\ ") || scheme != "http" && scheme != "https" {
		return endpoint{}, &misfitError{fmt.Errorf("read its address %q: want host:port", clip(address))}
	}
	at := endpoint{url: scheme + "://" + hostport}
	if !found {
		return at, nil
	}
	at.token = p.Tokens.shown()
	switch {
	case at.token == "":
		return at, &misfitError{errors.New("it wants a token, and this process has none")}
	case scheme == "http" && !p.Plain && !isLoopback(host):
		return at, &misfitError{errors.New("it listens without TLS, and this process does not send its token that way")}
	}
	return at, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// newPeerClient makes the client that asks other processes. No proxy is asked, and no redirect is followed.
func newPeerClient(config func() *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DialTLSContext: encrypted(dialer, config),
			MaxIdleConnsPerHost: fanOutMax, MaxConnsPerHost: questionsMax, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// encrypted dials with the configuration of now: a transport takes one for good.
func encrypted(dialer *net.Dialer, config func() *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout) // for the handshake, too
		defer cancel()
		d := &tls.Dialer{NetDialer: dialer}
		if config != nil {
			d.Config = config()
		}
		return d.DialContext(ctx, network, address)
	}
}

// misfitError says that two processes do not fit: asking again does not help, a person has to.
type misfitError struct{ error }

func (e *misfitError) Unwrap() error { return e.error }

// complaintsEvery bounds how often the log says that another process cannot be asked.
const complaintsEvery = time.Minute

// complaints keeps a fault that every question meets from filling the log.
type complaints struct {
	mu   sync.Mutex
	next time.Time
}

// due says whether it is time to complain again.
func (c *complaints) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.next) {
		return false
	}
	c.next = now.Add(complaintsEvery)
	return true
}
