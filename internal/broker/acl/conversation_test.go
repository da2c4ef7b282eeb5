package acl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// withUser makes users of which one is alice with this password.
func withUser(t testing.TB, password string) *State {
	t.Helper()
	s := New(Options{})
	entries, err := s.Users.Set("alice", password, 0)
	if err != nil {
		t.Fatal(err)
	}
	applyAll(t, s, append(s.Begin(), entries...))
	return s
}

func applyAll(t testing.TB, s *State, entries []Entry) {
	t.Helper()
	for _, e := range entries {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
}

// The example of RFC 7677, to the letter.
func TestConversationIsThatOfTheRFC(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	c, err := SaltedCredential(ScramSHA256, salt, saltedPassword(ScramSHA256, "pencil", salt, 4096), 4096)
	if err != nil {
		t.Fatal(err)
	}
	talk := &Conversation{mechanism: ScramSHA256, nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", lookup: func(string) Credential { return c }}
	for _, step := range []struct{ in, out string }{
		{"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		out, _, err := talk.Step([]byte(step.in))
		if err != nil || string(out) != step.out {
			t.Fatalf("Step(%q) = %q, %v; want %q", step.in, out, err, step.out)
		}
	}
	if talk.User() != "user" {
		t.Errorf("User() = %q", talk.User())
	}
	if _, _, err := talk.Step(nil); err == nil || talk.User() != "" {
		t.Error("a finished conversation took one more message")
	}
}

// mechanisms are franz-go's clients.
func mechanisms(user, password string) map[Mechanism]sasl.Mechanism {
	return map[Mechanism]sasl.Mechanism{
		ScramSHA256: scram.Auth{User: user, Pass: password}.AsSha256Mechanism(),
		ScramSHA512: scram.Auth{User: user, Pass: password}.AsSha512Mechanism(),
		Plain:       plain.Auth{User: user, Pass: password}.AsMechanism(),
	}
}

// talk runs a foreign client against step. It tells how many messages the server took.
func talk(t *testing.T, m sasl.Mechanism, step func([]byte) ([]byte, bool, error)) (steps int, err error) {
	t.Helper()
	client, message, err := m.Authenticate(t.Context(), "localhost:9092")
	if err != nil {
		t.Fatal(err)
	}
	for {
		steps++
		answer, done, err := step(message)
		if err != nil {
			return steps, err
		}
		clientDone, next, err := client.Challenge(answer)
		if err != nil {
			return steps, fmt.Errorf("client: %w", err)
		}
		if clientDone != done {
			return steps, fmt.Errorf("client done %v, server done %v", clientDone, done)
		}
		if done {
			return steps, nil
		}
		message = next
	}
}

func (u *Users) stepper(m Mechanism) func([]byte) ([]byte, bool, error) {
	if m != Plain {
		return u.Converse(m).Step
	}
	return func(in []byte) ([]byte, bool, error) {
		_, err := u.CheckPlain(in)
		return nil, err == nil, err
	}
}

func TestForeignClientLogsInWithTheRightPasswordOnly(t *testing.T) {
	const password = "it's, a = secret ☂"
	users := withUser(t, password).Users
	for _, c := range []struct {
		name, user, password string
		want                 error
	}{
		{"right", "alice", password, nil},
		{"wrong password", "alice", password + "!", ErrCredentials},
		{"unknown user", "mallory", password, ErrCredentials},
	} {
		for m, client := range mechanisms(c.user, c.password) {
			t.Run(c.name+" "+string(m), func(t *testing.T) {
				steps, err := talk(t, client, users.stepper(m))
				if !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				if want := map[bool]int{true: 1, false: 2}[m == Plain]; steps != want {
					t.Errorf("%d steps, want %d", steps, want)
				}
			})
		}
	}
}

func TestUserNamesWithCommaAndEqualsSignLogIn(t *testing.T) {
	s := New(Options{})
	entries, err := s.Users.Set("a,b=c", "pw", 8192)
	if err != nil {
		t.Fatal(err)
	}
	applyAll(t, s, entries)
	if _, err := talk(t, mechanisms("a,b=c", "pw")[ScramSHA256], s.Users.stepper(ScramSHA256)); err != nil {
		t.Error(err)
	}
}

// firstAnswer is the server's challenge for a user, without the nonce.
func firstAnswer(t *testing.T, u *Users, m Mechanism, user string) string {
	t.Helper()
	out, _, err := u.Converse(m).Step([]byte("n,,n=" + user + ",r=abc"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), ",")
	return rest
}

func TestUnknownUserLooksLikeAKnownOne(t *testing.T) {
	s := withUser(t, "secret")
	again := New(Options{})
	applyAll(t, again, s.Snapshot())
	for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
		known, unknown := firstAnswer(t, s.Users, m, "alice"), firstAnswer(t, s.Users, m, "mallory")
		if len(known) != len(unknown) {
			t.Errorf("%s: challenges %q and %q differ in form", m, known, unknown)
		}
		if unknown != firstAnswer(t, s.Users, m, "mallory") {
			t.Errorf("%s: the salt of an unknown user changes from try to try", m)
		}
		if unknown != firstAnswer(t, again.Users, m, "mallory") {
			t.Errorf("%s: the salt of an unknown user changes over a restart", m)
		}
		if unknown == firstAnswer(t, s.Users, m, "mallet") {
			t.Errorf("%s: all unknown users share a salt", m)
		}
	}
}

func TestUnknownUserHasTheUsualIterations(t *testing.T) {
	s := New(Options{})
	for i, n := range []int{8192, 8192, 4096, 16384} {
		entries, err := s.Users.Set(fmt.Sprint("u", i), "pw", n)
		if err != nil {
			t.Fatal(err)
		}
		applyAll(t, s, entries)
	}
	if got := firstAnswer(t, s.Users, ScramSHA256, "nobody"); !strings.HasSuffix(got, ",i=8192") {
		t.Errorf("challenge %q does not look like that of most users", got)
	}
}

func TestUnknownUserCostsTheTimeOfAWrongPassword(t *testing.T) {
	s := withUser(t, "secret")
	users := s.Users
	applyAll(t, s, []Entry{setUser("carol", users.credential("alice", ScramSHA256))}) // has one mechanism only
	quickest := func(user string) time.Duration {
		best := time.Hour
		for range 7 {
			began := time.Now()
			if _, err := users.CheckPlain([]byte("\x00" + user + "\x00wrong")); !errors.Is(err, ErrCredentials) {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	unknown := quickest("mallory")
	for _, user := range []string{"alice", "carol"} {
		if known := quickest(user); unknown*3 < known || known*3 < unknown {
			t.Errorf("a wrong password of %s takes %v, an unknown user %v", user, known, unknown)
		}
	}
}

func TestBadFirstMessagesAreRefused(t *testing.T) {
	users := withUser(t, "secret").Users
	for name, message := range map[string]string{
		"empty":                         "",
		"no gs2 header":                 "n=alice,r=abc",
		"channel binding asked for":     "p=tls-unique,,n=alice,r=abc",
		"unknown binding flag":          "x,,n=alice,r=abc",
		"other authorization id":        "n,a=bob,n=alice,r=abc",
		"malformed authorization id":    "n,bob,n=alice,r=abc",
		"no nonce":                      "n,,n=alice",
		"empty nonce":                   "n,,n=alice,r=",
		"nonce with a blank":            "n,,n=alice,r=a b",
		"huge nonce":                    "n,,n=alice,r=" + strings.Repeat("x", maxNonceBytes+1),
		"empty name":                    "n,,n=,r=abc",
		"name with a control character": "n,,n=a\x00b,r=abc",
		"name that is not UTF-8":        "n,,n=\xff,r=abc",
		"half an escape":                "n,,n=a=2,r=abc",
		"unknown escape":                "n,,n=a=41,r=abc",
		"mandatory extension":           "n,,m=x,n=alice,r=abc",
		"mandatory extension at end":    "n,,n=alice,r=abc,m=x",
		"delegation token":              "n,,n=alice,r=abc,tokenauth=true",
		"extension without value":       "n,,n=alice,r=abc,foo",
		"too long":                      "n,,n=alice,r=abc,x=" + strings.Repeat("x", maxMessageBytes),
	} {
		t.Run(name, func(t *testing.T) {
			c := users.Converse(ScramSHA256)
			if out, done, err := c.Step([]byte(message)); err == nil || done || out != nil {
				t.Fatalf("Step = %q, %v, %v", out, done, err)
			}
			if _, _, err := c.Step([]byte("n,,n=alice,r=abc")); err == nil {
				t.Error("a broken conversation went on")
			}
		})
	}
}

func TestGoodFirstMessagesAreTaken(t *testing.T) {
	users := withUser(t, "secret").Users
	for _, message := range []string{
		"n,,n=alice,r=abc", "y,,n=alice,r=abc", "n,a=alice,n=alice,r=abc", "n,,n=alice,r=abc,foo=bar", "n,,n=alice,r=abc,tokenauth=false",
	} {
		if _, done, err := users.Converse(ScramSHA512).Step([]byte(message)); err != nil || done {
			t.Errorf("Step(%q) = done %v, %v", message, done, err)
		}
	}
}

func TestBadSecondMessagesAreRefused(t *testing.T) {
	users := withUser(t, "secret").Users
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, message := range map[string]string{ // NONCE stands for the whole nonce
		"empty":                   "",
		"no proof":                "c=biws,r=NONCE",
		"zero proof":              "c=biws,r=NONCE,p=" + proof,
		"short proof":             "c=biws,r=NONCE,p=AAAA",
		"empty proof":             "c=biws,r=NONCE,p=",
		"proof that is no base64": "c=biws,r=NONCE,p=!!!!",
		"other nonce":             "c=biws,r=NONCEx,p=" + proof,
		"own nonce only":          "c=biws,r=abc,p=" + proof,
		"other channel binding":   "c=eSws,r=NONCE,p=" + proof, // "y,,"
		"binding no base64":       "c=?,r=NONCE,p=" + proof,
		"wrong order":             "r=NONCE,c=biws,p=" + proof,
		"mandatory extension":     "c=biws,r=NONCE,m=x,p=" + proof,
	} {
		t.Run(name, func(t *testing.T) {
			c := users.Converse(ScramSHA256)
			out, _, err := c.Step([]byte("n,,n=alice,r=abc"))
			if err != nil {
				t.Fatal(err)
			}
			nonce := strings.TrimPrefix(strings.Split(string(out), ",")[0], "r=")
			if _, done, err := c.Step([]byte(strings.Replace(message, "NONCE", nonce, 1))); err == nil || done || c.User() != "" {
				t.Errorf("done %v, user %q, %v", done, c.User(), err)
			}
		})
	}
}

// A client that knows the password but changes on the way what both sides must agree on is refused.
func TestProofIsForThisConversationOnly(t *testing.T) {
	users := withUser(t, "secret").Users
	for _, c := range []struct {
		name, gs2 string
		nonce     func(string) string
		ok        bool
	}{
		{"honest", "n,,", func(s string) string { return s }, true},
		{"other channel binding", "y,,", func(s string) string { return s }, false},
		{"other nonce", "n,,", func(s string) string { return s + "x" }, false},
		{"own nonce", "n,,", func(string) string { return "abc" }, false},
		{"as librdkafka sends it", "n,,", func(s string) string { return "abc" + s }, true},
		{"something else in front", "n,,", func(s string) string { return "abd" + s }, false},
	} {
		talk := users.Converse(ScramSHA256)
		said, _, err := talk.Step([]byte("n,,n=alice,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		k := users.credential("alice", ScramSHA256)
		nonce := c.nonce(strings.TrimPrefix(strings.Split(string(said), ",")[0], "r="))
		final := "c=" + base64.StdEncoding.EncodeToString([]byte(c.gs2)) + ",r=" + nonce
		salted := saltedPassword(ScramSHA256, "secret", k.Salt, k.Iterations)
		proof := mac(ScramSHA256, salted, "Client Key")
		for i, b := range mac(ScramSHA256, k.StoredKey, "n=alice,r=abc,"+string(said)+","+final) {
			proof[i] ^= b
		}
		_, done, err := talk.Step([]byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)))
		if done != c.ok || (err == nil) != c.ok {
			t.Errorf("%s: done %v, %v", c.name, done, err)
		}
	}
}

func FuzzScram(f *testing.F) {
	users := withUser(f, "secret").Users
	f.Add("n,,n=alice,r=abc", "c=biws,r=abc,p=AAAA", true)
	f.Add("p=tls-unique,,n=alice,r=abc", "", false)
	f.Add("n,a=al=2Cice,n=al=2Cice,r=abc,x=y", "c=,r=,p=", false)
	f.Fuzz(func(t *testing.T, first, second string, useNonce bool) {
		c := users.Converse(ScramSHA512)
		out, done, err := c.Step([]byte(first))
		if done {
			t.Fatal("done after the first message")
		}
		if err == nil && useNonce {
			second = strings.Replace(second, "abc", strings.TrimPrefix(strings.Split(string(out), ",")[0], "r="), 1)
		}
		if _, done, _ := c.Step([]byte(second)); done || c.User() != "" {
			t.Fatal("a stranger got in")
		}
	})
}

func FuzzPlain(f *testing.F) {
	users := withUser(f, "secret").Users
	f.Add([]byte("\x00alice\x00wrong"))
	f.Add([]byte("alice\x00alice\x00secret"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, token []byte) {
		user, err := users.CheckPlain(token)
		right := string(token) == "\x00alice\x00secret" || string(token) == "alice\x00alice\x00secret"
		if right != (err == nil) || right != (user == "alice") {
			t.Fatalf("CheckPlain(%q) = %q, %v", token, user, err)
		}
	})
}
