package kafkatest

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func userCases() []testCase {
	return []testCase{
		{"a new user logs in", userLogin},
		{"a wrong password is an error of authentication", userWrongPassword},
		{"an unknown user is an error of authentication", userUnknown},
		{"a deleted user logs in no more", userDeleted},
		{"a changed password holds at once", userChanged},
		{"users are described", userDescribe},
		{"an unknown user is not described", userDescribeUnknown},
		{"too few iterations are refused", userIterations},
		{"an unknown user is not deleted", userDeleteUnknown},
		{"requests before the login end the connection", userBeforeLogin},
		{"an unknown mechanism is refused with a list of the known", userMechanism},
	}
}

// user makes a user with a password, and a client that logs in as this user. Without SASL the case is left out.
func (t *T) user() (name string, client *conn) {
	t.Helper()
	name = t.newUser("secret")
	return name, t.login(name, "secret")
}

func (t *T) newUser(password string) string {
	t.Helper()
	if t.target.SASL == nil {
		t.leaveOut("the target has no listener with users")
	}
	name := t.unique("user")
	t.ok("make user", t.setPassword(name, password, 4096))
	return name
}

func (t *T) setPassword(name, password string, iterations int) int16 {
	t.Helper()
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		t.Fatalf("make salt: %v", err)
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		t.Fatalf("salt password: %v", err)
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: name, Mechanism: 1, Iterations: int32(iterations), Salt: salt, SaltedPassword: salted}}
	return ask(t, req.RequestWith).Results[0].ErrorCode
}

// tryLogin connects and logs in, and returns the error code of the authentication.
func (t *T) tryLogin(name, password string) (*conn, int16) {
	t.Helper()
	c := t.saslDial()
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = "SCRAM-SHA-256"
	t.ok("handshake", askOn(t, c, hello.RequestWith).ErrorCode)
	session, message, err := scram.Auth{User: name, Pass: password}.AsSha256Mechanism().Authenticate(t.ctx, t.target.SASL.Seed)
	for done := false; !done; {
		if err != nil {
			t.Fatalf("authenticate: %v", err)
		}
		step := kmsg.NewPtrSASLAuthenticateRequest()
		step.SASLAuthBytes = message
		res := askOn(t, c, step.RequestWith)
		if res.ErrorCode != 0 {
			return nil, res.ErrorCode
		}
		done, message, err = session.Challenge(res.SASLAuthBytes)
	}
	return c, 0
}

// login logs in, and waits until a new user is known.
func (t *T) login(name, password string) (c *conn) {
	t.Helper()
	t.eventually("the login", func() bool {
		var code int16
		c, code = t.tryLogin(name, password)
		return code == 0
	})
	return c
}

func (t *T) wantNoLogin(name, password string) {
	t.Helper()
	_, code := t.tryLogin(name, password)
	t.want("login", code, kerr.SaslAuthenticationFailed)
}

func userLogin(t *T) {
	_, client := t.user()
	askOn(t, client, kmsg.NewPtrMetadataRequest().RequestWith)
}

func userWrongPassword(t *T) {
	name, _ := t.user()
	t.wantNoLogin(name, "wrong")
}

func userUnknown(t *T) { t.wantNoLogin(t.unique("nobody"), "secret") }

func (t *T) deleteUser(name string) int16 {
	t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: name, Mechanism: 1}}
	return ask(t, req.RequestWith).Results[0].ErrorCode
}

func userDeleted(t *T) {
	name, _ := t.user()
	t.ok("delete user", t.deleteUser(name))
	t.eventually("the login refused", func() bool {
		_, code := t.tryLogin(name, "secret")
		return code == kerr.SaslAuthenticationFailed.Code
	})
}

func userChanged(t *T) {
	name, _ := t.user()
	t.ok("change password", t.setPassword(name, "other", 4096))
	t.login(name, "other")
	t.wantNoLogin(name, "secret")
}

func (t *T) describeUser(name string) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	t.Helper()
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: name}}
	res := ask(t, req.RequestWith)
	t.ok("describe users", res.ErrorCode)
	equal(t, "users", len(res.Results), 1)
	return res.Results[0]
}

func userDescribe(t *T) {
	name := t.unique("user")
	t.ok("make user", t.setPassword(name, "secret", 5000))
	t.eventually("the user described", func() bool { return t.describeUser(name).ErrorCode == 0 })
	found := t.describeUser(name).CredentialInfos
	equal(t, "credentials", len(found), 1)
	equal(t, "mechanism", found[0].Mechanism, 1)
	equal(t, "iterations", found[0].Iterations, 5000)
}

func userDescribeUnknown(t *T) {
	t.want("describe user", t.describeUser(t.unique("nobody")).ErrorCode, kerr.ResourceNotFound)
}

func userIterations(t *T) {
	t.want("make user", t.setPassword(t.unique("user"), "secret", 100), kerr.UnacceptableCredential)
}

func userDeleteUnknown(t *T) {
	t.want("delete user", t.deleteUser(t.unique("nobody")), kerr.ResourceNotFound)
}

// saslDial connects to the listener with users, and does not log in.
func (t *T) saslDial() *conn {
	t.Helper()
	if t.target.SASL == nil {
		t.leaveOut("the target has no listener with users")
	}
	c, err := dial(t.ctx, t.target.SASL.Seed)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func userBeforeLogin(t *T) {
	req := kmsg.NewPtrMetadataRequest()
	if _, err := req.RequestWith(t.ctx, t.saslDial()); !hungUp(err) {
		t.Fatalf("not refused: %v", err)
	}
}

func userMechanism(t *T) {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = "HANDSHAKE-9"
	res := askOn(t, t.saslDial(), req.RequestWith)
	t.want("handshake", res.ErrorCode, kerr.UnsupportedSaslMechanism)
	if !slices.Contains(res.SupportedMechanisms, "SCRAM-SHA-256") {
		t.Fatalf("mechanisms: %q", res.SupportedMechanisms)
	}
}
