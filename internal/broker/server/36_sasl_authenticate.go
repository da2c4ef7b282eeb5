package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// saslAuthenticate takes one token of the mechanism.
func saslAuthenticate(_ *Server, _ context.Context, r *request) kmsg.Response {
	answer, last := r.conn.session.Authenticate(r.body.(*kmsg.SASLAuthenticateRequest), time.Now())
	r.last = last
	return answer
}
