package router

import (
	"net/http"
	"net/textproto"
	"strings"

	"ravenswood.dev/internal/record"
)

// The headers of a call. A service sees which version it was called as and whether the call is a shadow.
const (
	HeaderService  = "X-Raven-Service"
	HeaderVersion  = "X-Raven-Version"
	HeaderWhy      = "X-Raven-Why"      // proxy answers only
	HeaderDegraded = "X-Raven-Degraded" // proxy answers only
	HeaderMirror   = "X-Raven-Mirror"
	HeaderKey      = "X-Raven-Key" // proxy requests only: the record key of a split
)

// What record headers may take of a request. More is left out, in the order of the record.
const (
	maxHeaders     = 64
	maxHeaderBytes = 16 << 10
)

// The shared values of headers that are the same in every call; net/http does not write into them.
var (
	jsonType  = []string{"application/json"}
	userAgent = []string{"raven"}
)

func stamp(h http.Header, service, version string) {
	h[HeaderService] = []string{service}
	h[HeaderVersion] = []string{version}
}

// copyRecordHeaders gives a record's headers to a request: those that HTTP allows and that mean something to a service.
// What is left out is still there for rules.
func copyRecordHeaders(to http.Header, headers []record.Header) {
	size, count := 0, 0
	for i := range headers {
		h := &headers[i]
		if !sendable(h) {
			continue
		}
		size += len(h.Key) + len(h.Value)
		if count++; count > maxHeaders || size > maxHeaderBytes {
			return
		}
		to[textproto.CanonicalMIMEHeaderKey(h.Key)] = []string{string(h.Value)} // the last of a name counts
	}
}

func sendable(h *record.Header) bool {
	return token(h.Key) && printable(h.Value) && !hopByHop(h.Key) && !ours(h.Key)
}

// ours says whether a header is Ravenswood's own business, or describes a body that is not the one being sent.
func ours(name string) bool {
	if len(name) >= len(record.Prefix) && strings.EqualFold(name[:len(record.Prefix)], record.Prefix) {
		return true
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "expect",
		"idempotency-key", "x-raven-service", "x-raven-version", "x-raven-mirror":
		return true
	}
	return false
}

// hopByHop says whether a header is about one connection and must not be passed on (RFC 9110, section 7.6.1).
func hopByHop(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
		"te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// token says whether a name is one that HTTP allows (RFC 9110, section 5.6.2).
func token(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

func printable(value []byte) bool {
	for _, c := range value {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}
