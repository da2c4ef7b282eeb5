package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// saslHandshake agrees on a mechanism.
func saslHandshake(_ *Server, _ context.Context, r *request) kmsg.Response {
	answer, last := r.conn.session.Handshake(r.body.(*kmsg.SASLHandshakeRequest))
	r.last = last
	return answer
}
