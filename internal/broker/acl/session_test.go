package acl

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func handshake(s *Session, m Mechanism) (int16, bool) {
	r := kmsg.NewPtrSASLHandshakeRequest()
	r.Version, r.Mechanism = 1, string(m)
	answer, last := s.Handshake(r)
	return answer.ErrorCode, last
}

func authenticate(s *Session, token string, now time.Time) (*kmsg.SASLAuthenticateResponse, bool) {
	r := kmsg.NewPtrSASLAuthenticateRequest()
	r.Version, r.SASLAuthBytes = 2, []byte(token)
	return s.Authenticate(r, now)
}

// login does the whole of it with a foreign client.
func login(t *testing.T, s *Session, m sasl.Mechanism, now time.Time) (*kmsg.SASLAuthenticateResponse, bool) {
	t.Helper()
	if code, _ := handshake(s, Mechanism(m.Name())); code != 0 {
		t.Fatalf("handshake: %v", kerr.ErrorForCode(code))
	}
	var answer *kmsg.SASLAuthenticateResponse
	var last bool
	_, _ = talk(t, m, func(in []byte) ([]byte, bool, error) {
		answer, last = authenticate(s, string(in), now)
		return answer.SASLAuthBytes, s.phase == open, kerr.ErrorForCode(answer.ErrorCode)
	})
	return answer, last
}

func all() []Mechanism { return []Mechanism{ScramSHA512, ScramSHA256, Plain} }

func TestSessionOpensByLoginOnly(t *testing.T) {
	users := withUser(t, "secret").Users
	for m, client := range mechanisms("alice", "secret") {
		s := NewSession(users, SessionOptions{Mechanisms: all(), TLS: true}, "User:CN=cert")
		if s.Admit(int16(kmsg.Produce), noon) == nil || s.Principal() != Anonymous {
			t.Fatal("open before the login")
		}
		for _, k := range []kmsg.Key{kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate} {
			if err := s.Admit(int16(k), noon); err != nil {
				t.Error(err)
			}
		}
		answer, last := login(t, s, client, noon)
		if answer.ErrorCode != 0 || last || s.Principal() != "User:alice" || s.Admit(int16(kmsg.Produce), noon.Add(999*time.Hour)) != nil {
			t.Errorf("%s: not open after the login: %+v", m, answer)
		}
	}
}

func TestWrongLoginIsRefusedAndSaysNothing(t *testing.T) {
	users := withUser(t, "secret").Users
	for _, user := range []string{"alice", "mallory"} {
		for m, client := range mechanisms(user, "hunter2") {
			s := NewSession(users, SessionOptions{Mechanisms: all(), TLS: true}, Anonymous)
			answer, last := login(t, s, client, noon)
			want := "authentication with " + string(m) + ": invalid credentials"
			if answer.ErrorCode != kerr.SaslAuthenticationFailed.Code || !last || *answer.ErrorMessage != want {
				t.Errorf("%s %s: %+v, message %q", user, m, answer, *answer.ErrorMessage)
			}
			if s.Principal() != Anonymous || s.Admit(int16(kmsg.SASLHandshake), noon) == nil {
				t.Error("a refused session goes on")
			}
		}
	}
}

func TestPlainIsOfferedOverTLSOnly(t *testing.T) {
	users := withUser(t, "secret").Users
	for _, encrypted := range []bool{true, false} {
		s := NewSession(users, SessionOptions{Mechanisms: all(), TLS: encrypted}, Anonymous)
		r := kmsg.NewPtrSASLHandshakeRequest()
		r.Mechanism = "PLAIN"
		answer, last := s.Handshake(r)
		refused := answer.ErrorCode == kerr.UnsupportedSaslMechanism.Code && last
		if refused == encrypted || strings.Contains(strings.Join(answer.SupportedMechanisms, " "), "PLAIN") != encrypted {
			t.Errorf("TLS %v: %+v, last %v", encrypted, answer, last)
		}
	}
}

func TestSessionRefusesWhatComesOutOfOrder(t *testing.T) {
	users := withUser(t, "secret").Users
	illegal := kerr.IllegalSaslState.Code
	t.Run("token without handshake", func(t *testing.T) {
		s := NewSession(users, SessionOptions{Mechanisms: all()}, Anonymous)
		if answer, last := authenticate(s, "x", noon); answer.ErrorCode != illegal || !last {
			t.Errorf("%+v, last %v", answer, last)
		}
	})
	t.Run("two handshakes", func(t *testing.T) {
		s := NewSession(users, SessionOptions{Mechanisms: all()}, Anonymous)
		handshake(s, ScramSHA256)
		if code, last := handshake(s, ScramSHA256); code != illegal || !last {
			t.Errorf("code %d, last %v", code, last)
		}
	})
	t.Run("login where none is asked for", func(t *testing.T) {
		s := NewSession(users, SessionOptions{}, "User:CN=cert")
		if code, last := handshake(s, ScramSHA256); code != illegal || last {
			t.Errorf("code %d, last %v", code, last)
		}
		if s.Principal() != "User:CN=cert" || s.Admit(int16(kmsg.Produce), noon) != nil {
			t.Error("the session is no longer open")
		}
	})
	t.Run("unknown mechanism", func(t *testing.T) {
		s := NewSession(users, SessionOptions{Mechanisms: all()}, Anonymous)
		if code, last := handshake(s, "GSSAPI"); code != kerr.UnsupportedSaslMechanism.Code || !last {
			t.Errorf("code %d, last %v", code, last)
		}
	})
	t.Run("other requests between handshake and token", func(t *testing.T) {
		s := NewSession(users, SessionOptions{Mechanisms: all()}, Anonymous)
		handshake(s, ScramSHA256)
		if s.Admit(int16(kmsg.Metadata), noon) == nil {
			t.Error("admitted")
		}
	})
}

func TestLoginExpiresUnlessRenewedByTheSameUser(t *testing.T) {
	state := withUser(t, "secret")
	bob, err := state.Users.Set("bob", "secret", 0)
	if err != nil {
		t.Fatal(err)
	}
	applyAll(t, state, bob)
	o := SessionOptions{Mechanisms: all(), Lifetime: time.Minute}
	s := NewSession(state.Users, o, Anonymous)
	answer, _ := login(t, s, mechanisms("alice", "secret")[ScramSHA256], noon)
	if answer.SessionLifetimeMillis != 60_000 {
		t.Errorf("lifetime told: %d ms", answer.SessionLifetimeMillis)
	}
	if s.Admit(int16(kmsg.Fetch), noon.Add(59*time.Second)) != nil || s.Admit(int16(kmsg.Fetch), noon.Add(time.Minute)) == nil {
		t.Error("the login does not hold for a minute")
	}
	login(t, s, mechanisms("alice", "secret")[ScramSHA512], noon.Add(time.Minute))
	if err := s.Admit(int16(kmsg.Fetch), noon.Add(119*time.Second)); err != nil {
		t.Errorf("renewed: %v", err)
	}
	answer, last := login(t, s, mechanisms("bob", "secret")[ScramSHA256], noon.Add(100*time.Second))
	if answer.ErrorCode != kerr.SaslAuthenticationFailed.Code || !last || s.Principal() != "User:alice" {
		t.Errorf("another user took the connection: %+v %s", answer, s.Principal())
	}
}

func TestOldClientsSendBareTokens(t *testing.T) {
	s := NewSession(withUser(t, "secret").Users, SessionOptions{Mechanisms: all()}, Anonymous)
	r := kmsg.NewPtrSASLHandshakeRequest()
	r.Mechanism = string(ScramSHA256) // version 0
	if answer, _ := s.Handshake(r); answer.ErrorCode != 0 || !s.Raw() {
		t.Fatalf("%+v", answer)
	}
	if _, err := talk(t, mechanisms("alice", "secret")[ScramSHA256], func(in []byte) ([]byte, bool, error) {
		out, err := s.Token(in, noon)
		return out, s.phase == open, err
	}); err != nil || s.Raw() || s.Principal() != "User:alice" {
		t.Errorf("principal %s, %v", s.Principal(), err)
	}
}
