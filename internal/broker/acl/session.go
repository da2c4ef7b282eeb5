package acl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SessionOptions are what a listener asks of its clients.
type SessionOptions struct {
	Mechanisms []Mechanism // in the order offered; empty: nobody has to log in
	TLS        bool        // the connection is encrypted; PLAIN is left out otherwise
	// Lifetime is how long a login holds before the client must log in again; 0: as long as the connection.
	Lifetime time.Duration
}

// phase is where a session is.
//
//	handshakeDue ──SaslHandshake──▶ tokenDue ──last token──▶ open ──SaslHandshake──▶ tokenDue (again)
//	                                   └──token refused──▶ refused
//	        └──mechanism refused──▶ refused
type phase int8

const (
	handshakeDue phase = iota // nobody has logged in; only ApiVersions and SaslHandshake are taken
	tokenDue                  // a mechanism is agreed; only its tokens are taken
	open                      // somebody is logged in, or nobody has to
	refused                   // final: the connection must be closed once the answer is out
)

// Session is the login of one connection.
type Session struct {
	phase     phase
	users     *Users
	offered   []Mechanism
	lifetime  time.Duration
	principal Principal // who is logged in; who it was, while logging in again
	loggedIn  bool      // by SASL, at least once
	expires   time.Time // zero: never
	mechanism Mechanism // agreed on
	scram     *Conversation
	raw       bool // agreed with version 0: tokens come without a request around them
}

// NewSession begins a session. Without mechanisms it is open, and its principal is the one given: that of the client's
// certificate, or Anonymous.
func NewSession(users *Users, o SessionOptions, principal Principal) *Session {
	offered := slices.DeleteFunc(slices.Clone(o.Mechanisms), func(m Mechanism) bool { return m == Plain && !o.TLS })
	s := &Session{users: users, offered: offered, lifetime: o.Lifetime, principal: Anonymous}
	if len(o.Mechanisms) == 0 {
		s.phase, s.principal = open, principal
	}
	return s
}

// Principal is who the client is: Anonymous until it logged in.
func (s *Session) Principal() Principal { return s.principal }

// Format tells who is logged in and nothing else, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session of %s", s.principal) }

// Raw tells whether the next frame is a bare token, to be given to Token, and not a request. Only clients that shook
// hands with version 0 do so.
func (s *Session) Raw() bool { return s.phase == tokenDue && s.raw }

// Admit tells whether a request of this kind may be handled now. An error means that the connection is closed without
// an answer.
func (s *Session) Admit(key int16, now time.Time) error {
	switch kmsg.Key(key) {
	case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		if s.phase != refused {
			return nil
		}
	}
	switch {
	case s.phase == refused:
		return errors.New("the login was refused")
	case s.phase != open:
		return fmt.Errorf("%s before the login", kmsg.NameForKey(key))
	case !s.expires.IsZero() && !now.Before(s.expires):
		return errors.New("the login has expired")
	}
	return nil
}

// Handshake agrees on a mechanism. last means that the connection must be closed after the answer.
func (s *Session) Handshake(r *kmsg.SASLHandshakeRequest) (answer *kmsg.SASLHandshakeResponse, last bool) {
	answer = r.ResponseKind().(*kmsg.SASLHandshakeResponse)
	for _, m := range s.offered {
		answer.SupportedMechanisms = append(answer.SupportedMechanisms, string(m))
	}
	m := Mechanism(r.Mechanism)
	switch {
	case s.phase == open && !s.loggedIn: // nobody has to log in here
		answer.ErrorCode = kerr.IllegalSaslState.Code
	case s.phase == tokenDue || s.phase == refused:
		answer.ErrorCode = kerr.IllegalSaslState.Code
		s.becomeRefused()
		return answer, true
	case !slices.Contains(s.offered, m):
		answer.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		s.becomeRefused()
		return answer, true
	default:
		s.becomeTokenDue(m, r.Version == 0)
	}
	return answer, false
}

// Authenticate takes one token of the mechanism. last means that the connection must be closed after the answer.
func (s *Session) Authenticate(r *kmsg.SASLAuthenticateRequest, now time.Time) (answer *kmsg.SASLAuthenticateResponse, last bool) {
	answer = r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	if s.phase != tokenDue {
		answer.ErrorCode, answer.ErrorMessage = refusal(kerr.IllegalSaslState, "no SaslHandshake came before")
		if s.phase != open {
			s.becomeRefused()
		}
		return answer, s.phase == refused
	}
	out, err := s.Token(r.SASLAuthBytes, now)
	if err != nil {
		answer.ErrorCode, answer.ErrorMessage = refusal(kerr.SaslAuthenticationFailed, err.Error())
		return answer, true
	}
	answer.SASLAuthBytes = out
	if s.phase == open && !s.expires.IsZero() {
		answer.SessionLifetimeMillis = s.lifetime.Milliseconds()
	}
	return answer, false
}

// Token takes one token of the mechanism and returns the server's. It is for clients that send bare tokens (see Raw): they
// get the returned bytes in a frame of their own, and a closed connection for an error.
func (s *Session) Token(token []byte, now time.Time) ([]byte, error) {
	if s.phase != tokenDue {
		return nil, errors.New("no SaslHandshake came before")
	}
	out, user, done, err := s.step(token)
	if err == nil && done && s.loggedIn && s.principal != UserPrincipal(user) {
		err = errors.New("a connection cannot change its user")
	}
	if err != nil {
		s.becomeRefused()
		return nil, fmt.Errorf("authentication with %s: %w", s.mechanism, err)
	}
	if done {
		s.becomeOpen(UserPrincipal(user), now)
	}
	return out, nil
}

func (s *Session) step(token []byte) (out []byte, user string, done bool, err error) {
	if s.mechanism == Plain {
		user, err := s.users.CheckPlain(token)
		return []byte{}, user, err == nil, err
	}
	out, done, err = s.scram.Step(token)
	return out, s.scram.User(), done, err
}

func (s *Session) becomeTokenDue(m Mechanism, raw bool) {
	if s.phase != handshakeDue && s.phase != open {
		panic("assertion failed: a handshake in the middle of a login")
	}
	s.phase, s.mechanism, s.raw, s.scram = tokenDue, m, raw, nil
	if m != Plain {
		s.scram = s.users.Converse(m)
	}
}

func (s *Session) becomeOpen(p Principal, now time.Time) {
	if s.phase != tokenDue {
		panic("assertion failed: logged in without a token")
	}
	s.phase, s.principal, s.loggedIn, s.scram = open, p, true, nil
	if s.lifetime > 0 {
		s.expires = now.Add(s.lifetime)
	}
}

// becomeRefused is possible from everywhere: whatever a client does wrong, it is done with.
func (s *Session) becomeRefused() {
	s.phase, s.scram = refused, nil
}

// CheckPlain checks a token of PLAIN (RFC 4616) against the user's SCRAM credential and returns the user's name. An
// unknown user costs as much time as a wrong password, and the error is the same: ErrCredentials.
func (u *Users) CheckPlain(token []byte) (string, error) {
	if len(token) > maxMessageBytes {
		return "", fmt.Errorf("message of %d bytes, at most %d are taken", len(token), maxMessageBytes)
	}
	parts := strings.Split(string(token), "\x00")
	if len(parts) != 3 {
		return "", errors.New("the message is not authorization id, user and password")
	}
	authzid, user, password := parts[0], parts[1], parts[2]
	switch {
	case checkUserName(user) != nil:
		return "", checkUserName(user)
	case authzid != "" && authzid != user:
		return "", errors.New("the authorization id is not the user's name")
	case password == "" || len(password) > maxPasswordBytes:
		return "", ErrCredentials
	case !u.matches(user, password):
		return "", ErrCredentials
	}
	return user, nil
}
