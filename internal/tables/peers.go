package tables

import (
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
	Token string      // what they want; never logged
	TLS   *tls.Config // whose certificates are believed; nil: those of the system's authorities
	Plain bool        // the token may go to other machines without TLS
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
	url      string // scheme, host and port
	listener bool   // it is one for tables, which wants a token; else an admin API, which does not
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
	at := endpoint{url: scheme + "://" + hostport, listener: found}
	switch {
	case !at.listener:
		return at, nil
	case p.Token == "":
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
func newPeerClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSClientConfig: config, TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: fanOutMax, MaxConnsPerHost: questionsMax, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
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
