package acl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func upsertion(name string, mechanism int8, iterations int32) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = name, mechanism, iterations, []byte("salt")
	m, ok := mechanismOfWire(mechanism)
	if !ok {
		m = ScramSHA256
	}
	u.SaltedPassword = saltedPassword(m, "changed", u.Salt, int(iterations))
	return u
}

func deletion(name string, mechanism int8) kmsg.AlterUserSCRAMCredentialsRequestDeletion {
	d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	d.Name, d.Mechanism = name, mechanism
	return d
}

func codeOf(e *kerr.Error) int16 {
	if e == nil {
		return 0
	}
	return e.Code
}

func TestAlterUsers(t *testing.T) {
	short := upsertion("bob", 1, 4096)
	short.SaltedPassword = short.SaltedPassword[:31]
	unsalted := upsertion("bob", 1, 4096)
	unsalted.Salt = nil
	for _, c := range []struct {
		name    string
		set     []kmsg.AlterUserSCRAMCredentialsRequestUpsertion
		removed []kmsg.AlterUserSCRAMCredentialsRequestDeletion
		user    string
		want    *kerr.Error // nil: planned
	}{
		{"new user", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 1, 4096), upsertion("bob", 2, 16384)}, nil, "bob", nil},
		{"remove", nil, []kmsg.AlterUserSCRAMCredentialsRequestDeletion{deletion("alice", 1)}, "alice", nil},
		{"remove one, change the other", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("alice", 2, 4096)}, []kmsg.AlterUserSCRAMCredentialsRequestDeletion{deletion("alice", 1)}, "alice", nil},
		{"remove unknown", nil, []kmsg.AlterUserSCRAMCredentialsRequestDeletion{deletion("bob", 1)}, "bob", kerr.ResourceNotFound},
		{"both at once", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("alice", 1, 4096)}, []kmsg.AlterUserSCRAMCredentialsRequestDeletion{deletion("alice", 1)}, "alice", kerr.DuplicateResource},
		{"set twice", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 1, 4096), upsertion("bob", 1, 8192)}, nil, "bob", kerr.DuplicateResource},
		{"few iterations", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 1, 4095)}, nil, "bob", kerr.UnacceptableCredential},
		{"many iterations", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 1, 16385)}, nil, "bob", kerr.UnacceptableCredential},
		{"no name", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("", 1, 4096)}, nil, "", kerr.UnacceptableCredential},
		{"everyone", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("*", 1, 4096)}, nil, "*", kerr.UnacceptableCredential},
		{"no salt", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{unsalted}, nil, "bob", kerr.UnacceptableCredential},
		{"half a key", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{short}, nil, "bob", kerr.UnacceptableCredential},
		{"unknown mechanism", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 3, 4096)}, nil, "bob", kerr.UnsupportedSaslMechanism},
		{"one of two wrong", []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{upsertion("bob", 1, 4096), upsertion("bob", 2, 1)}, nil, "bob", kerr.UnacceptableCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := withUser(t, "secret")
			before := fmt.Sprint(s.Snapshot())
			r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			r.Upsertions, r.Deletions = c.set, c.removed
			answer, entries := s.Users.Alter(r)
			if len(answer.Results) != 1 || answer.Results[0].User != c.user {
				t.Fatalf("%+v", answer.Results)
			}
			if got := answer.Results[0].ErrorCode; got != codeOf(c.want) {
				t.Fatalf("code %d, want %v", got, c.want)
			}
			if (c.want == nil) != (len(entries) == len(c.set)+len(c.removed)) || c.want != nil && len(entries) > 0 {
				t.Errorf("entries %v", entries)
			}
			if after := fmt.Sprint(s.Snapshot()); after != before {
				t.Error("planning changed something")
			}
		})
	}
}

func TestAlteredUserLogsInWithTheNewPassword(t *testing.T) {
	s := withUser(t, "secret")
	r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	r.Upsertions = append(r.Upsertions, upsertion("alice", 1, 8192))
	r.Deletions = append(r.Deletions, deletion("alice", 2))
	_, entries := s.Users.Alter(r)
	applyAll(t, s, entries)
	for m, ok := range map[Mechanism]bool{ScramSHA256: true, ScramSHA512: false, Plain: true} {
		if _, err := talk(t, mechanisms("alice", "changed")[m], s.Users.stepper(m)); (err == nil) != ok {
			t.Errorf("%s: %v", m, err)
		}
	}
	if s.Users.Matches("alice", "changed") {
		t.Error("a user with one credential matches a password file, which makes two")
	}
}

func TestDescribeUsers(t *testing.T) {
	s := withUser(t, "secret")
	ask := func(names ...string) string {
		r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		for _, n := range names {
			r.Users = append(r.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: n})
		}
		var b strings.Builder
		for _, u := range s.Users.Describe(r).Results {
			fmt.Fprintf(&b, "%s %d", u.User, u.ErrorCode)
			for _, i := range u.CredentialInfos {
				fmt.Fprintf(&b, " %d:%d", i.Mechanism, i.Iterations)
			}
			b.WriteString("; ")
		}
		return b.String()
	}
	for _, c := range []struct {
		name  string
		asked []string
		want  string
	}{
		{"all", nil, "alice 0 1:4096 2:4096; "},
		{"one", []string{"alice"}, "alice 0 1:4096 2:4096; "},
		{"unknown", []string{"bob"}, "bob 91; "},
		{"twice", []string{"alice", "alice"}, "alice 92; "},
	} {
		if got := ask(c.asked...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPasswordFileIsRecognised(t *testing.T) {
	u := withUser(t, "secret").Users
	if !u.Matches("alice", "secret") || u.Matches("alice", "other") || u.Matches("bob", "secret") {
		t.Error("Matches is wrong")
	}
	for name, f := range map[string]func() error{
		"empty password": func() error { _, err := u.Set("bob", "", 0); return err },
		"huge password":  func() error { _, err := u.Set("bob", strings.Repeat("x", 2000), 0); return err },
		"empty name":     func() error { _, err := u.Set("", "x", 0); return err },
		"iterations":     func() error { _, err := u.Set("bob", "x", 1); return err },
	} {
		if f() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Whatever prints a credential, an entry, or what holds them, prints no key.
func TestSecretsDoNotPrint(t *testing.T) {
	s := withUser(t, "secret-password")
	c := s.Users.credential("alice", ScramSHA256)
	var logged bytes.Buffer
	talk := s.Users.Converse(ScramSHA256)
	if _, _, err := talk.Step([]byte("n,,n=alice,r=abc")); err != nil {
		t.Fatal(err)
	}
	session := NewSession(s.Users, SessionOptions{}, Anonymous)
	printed := ""
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, &c, s.Snapshot(), s.Snapshot()[0], s.Users, s, talk, session, struct{ C Credential }{c}} {
			printed += fmt.Sprintf(verb, v) + "\n"
		}
	}
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	log.Info("x", "credential", c, "entry", s.Snapshot()[1], "seed", s.Snapshot()[0])
	printed += logged.String()
	for name, secret := range map[string][]byte{"salt": c.Salt, "stored key": c.StoredKey, "server key": c.ServerKey, "seed": s.Users.seed, "password": []byte("secret-password")} {
		encoded, _ := json.Marshal(secret)
		for _, form := range []string{string(secret), fmt.Sprintf("%x", secret), strings.Trim(fmt.Sprint(secret), "[]"), strings.Trim(string(encoded), `"`)} {
			if strings.Contains(printed, form) {
				at := strings.Index(printed, form)
				t.Errorf("the %s is printed: %.200q", name, printed[max(0, at-100):])
			}
		}
	}
}
