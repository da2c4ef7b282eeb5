package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// The operations that handlers ask for, by short names.
const (
	opRead            = kmsg.ACLOperationRead
	opWrite           = kmsg.ACLOperationWrite
	opCreate          = kmsg.ACLOperationCreate
	opDelete          = kmsg.ACLOperationDelete
	opAlter           = kmsg.ACLOperationAlter
	opDescribe        = kmsg.ACLOperationDescribe
	opDescribeConfigs = kmsg.ACLOperationDescribeConfigs
	opAlterConfigs    = kmsg.ACLOperationAlterConfigs
	opIdempotentWrite = kmsg.ACLOperationIdempotentWrite
	opClusterAction   = kmsg.ACLOperationClusterAction
)

// A Listener says how clients of one address come in. The zero value lets everybody in, which is right for a loopback
// address only.
type Listener struct {
	Advertised string          // host:port that clients are told to use; empty: the address that they connected to
	TLS        *tls.Config     // nil: connections are not encrypted
	Mapping    acl.Mapping     // from client certificates to principals
	Mechanisms []acl.Mechanism // of SASL; none: nobody logs in
	Lifetime   time.Duration   // of a login; 0: as long as the connection
}

// Guarded says whether clients are asked who they are.
func (l Listener) Guarded() bool {
	return len(l.Mechanisms) > 0 || l.TLS != nil && l.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// check refuses what would send passwords in the clear.
func (l Listener) check() error {
	if l.TLS == nil && slices.Contains(l.Mechanisms, acl.Plain) {
		return errors.New("offer SASL PLAIN: it sends passwords, so it needs TLS")
	}
	return nil
}

// Security says what clients may do. The zero value lets everybody do everything.
type Security struct {
	Authorize  bool              // look at access control lists
	SuperUsers []acl.Principal   // may do everything
	OpenIfNone bool              // what no list speaks of is open to all
	Users      map[string]string // passwords by name, set at the start unless the user has them
}

// session is who a connection is.
type session = *acl.Session

// security is the shell around package acl.
type security struct {
	s     *Server
	o     Security
	state *acl.State
	gate  *acl.Gate
	plan  sync.Mutex // from the plan of a change until it is applied

	mu     sync.Mutex
	leaves map[net.Conn]func() // GUARDED_BY(mu)
}

func newSecurity(s *Server, o Security) *security {
	options := acl.Options{SuperUsers: o.SuperUsers, AllowWithoutBinding: o.OpenIfNone}
	gate := acl.NewGate(s.settings.broker().ConnectionsMax, s.settings.broker().ConnectionsPerAddressMax)
	return &security{s: s, o: o, state: acl.New(options), gate: gate, leaves: map[net.Conn]func(){}}
}

// begin writes what the state needs before it serves, users given at the start among it.
func (sec *security) begin(ctx context.Context) error {
	if err := sec.apply(ctx, sec.state.Begin()); err != nil {
		return err
	}
	for name, password := range sec.o.Users {
		if sec.state.Users.Matches(name, password) {
			continue
		}
		entries, err := sec.state.Users.Set(name, password, acl.DefaultIterations)
		if err != nil {
			return fmt.Errorf("set the password of user %q: %w", name, err)
		}
		if err := sec.apply(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

// apply makes entries durable and puts them in effect.
func (sec *security) apply(ctx context.Context, entries []acl.Entry) error {
	for _, e := range entries {
		var failed error
		err := sec.s.noteAndApply(entrySecurity, e, func() { failed = sec.state.Apply(e) })
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return sec.s.lasting(ctx)
}

// admit counts a connection, or says that there are too many.
func (sec *security) admit(nc net.Conn) bool {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		host = nc.RemoteAddr().String()
	}
	leave, err := sec.gate.Enter(host)
	if err != nil {
		sec.s.log.Warn("connection refused", "client", nc.RemoteAddr(), "err", err)
		return false
	}
	sec.mu.Lock()
	defer sec.mu.Unlock()
	sec.leaves[nc] = leave
	return true
}

// arrived charges a connection to its address, and tells how long it must wait for it.
func (sec *security) arrived(host string) time.Duration {
	return sec.state.Quotas.Charge(acl.Client{IP: host}, acl.Connected, 1, time.Now())
}

func (sec *security) leave(nc net.Conn) {
	sec.mu.Lock()
	leave := sec.leaves[nc]
	delete(sec.leaves, nc)
	sec.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// handshakeWithin bounds how long a client may take to agree on TLS.
const handshakeWithin = 10 * time.Second

// handshake agrees on TLS and finds out who the client is by its certificate.
func (c *conn) handshake(ctx context.Context) error {
	principal := acl.Anonymous
	if c.l.TLS != nil {
		tc := tls.Server(c.nc, c.l.TLS)
		ctx, cancel := context.WithTimeout(ctx, handshakeWithin)
		defer cancel()
		if err := tc.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("agree on TLS: %w", err)
		}
		var err error
		if principal, err = c.l.Mapping.Principal(tc.ConnectionState()); err != nil {
			return err
		}
		c.nc = tc
	}
	o := acl.SessionOptions{Mechanisms: c.l.Mechanisms, TLS: c.l.TLS != nil, Lifetime: c.l.Lifetime}
	c.session = acl.NewSession(c.s.security.state.Users, o, principal)
	return nil
}

// guard asks for the client of a request; without authorisation it lets everything pass.
func (sec *security) guard(r *request) acl.Guard {
	if !sec.o.Authorize {
		return acl.Guard{}
	}
	return sec.state.ACLs.Guard(r.principal, r.conn.host)
}

// allowed asks whether the client of a request may do something.
func (s *Server) allowed(r *request, on acl.Resource, op kmsg.ACLOperation) bool {
	return s.security.guard(r).Allowed(op, on)
}

// operations is what the client may do, as the bits that answers carry.
func (sec *security) operations(r *request, on acl.Resource) int32 {
	return sec.guard(r).Operations(on)
}

// charge counts bytes against the quota of a client, and mutes its connection for as long as it is over.
func (s *Server) charge(r *request, kind acl.QuotaKind, bytes int) (throttleMillis int32) {
	client := acl.Client{User: r.principal.Name(), ID: r.client, IP: r.conn.host}
	throttle := s.security.state.Quotas.Charge(client, kind, int64(bytes), time.Now())
	if throttle <= 0 {
		return 0
	}
	r.conn.debt(client, kind, throttle)
	r.owed = &debt{client: client, kind: kind, wait: throttle}
	return int32(max(throttle.Milliseconds(), 1))
}

// mutated charges the creation or removal of partitions. What is over the quota waits like everything else.
func (s *Server) mutated(r *request, partitions int) (throttleMillis int32) {
	return s.charge(r, acl.Mutations, partitions)
}
