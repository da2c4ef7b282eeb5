package acl

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrCredentials means that the user is unknown or the password wrong; which, it does not tell.
var ErrCredentials = errors.New("invalid credentials")

const (
	maxMessageBytes = 4096 // of any message of a client
	maxNonceBytes   = 512
)

// stage is where a conversation is.
//
//	firstDue ──client first──▶ proofDue ──proof holds──▶ proven
//	    └──────────────┬──────────┘
//	                   ▼ anything wrong
//	                 broken
type stage int8

const (
	firstDue stage = iota // nothing was said
	proofDue              // the server sent salt and nonce; the client's proof is due
	proven                // final: the client knows the password, User tells who it is
	broken                // final: the client does not, or did not follow the protocol
)

// Conversation is the server's side of one authentication with SCRAM (RFC 5802) without channel binding.
type Conversation struct {
	stage      stage
	mechanism  Mechanism
	lookup     func(user string) Credential
	nonce      string // the server's part
	user       string
	gs2        string // what the client said about channel binding, which it must repeat
	clientBare string
	serverSaid string
	fullNonce  string
	credential Credential
}

// Converse begins a conversation. The mechanism must be one of SCRAM.
func (u *Users) Converse(m Mechanism) *Conversation {
	return &Conversation{
		mechanism: m, nonce: rand.Text(),
		lookup: func(user string) Credential { return u.credential(user, m) },
	}
}

// Step takes a message of the client and returns the answer to it. done means that the client has proven who it is; the
// answer still has to be sent. After an error the conversation is over. ErrCredentials stands for an unknown user and for a
// wrong password alike, after the same two steps; any other error says what is wrong with the message.
func (c *Conversation) Step(in []byte) (out []byte, done bool, err error) {
	switch {
	case len(in) > maxMessageBytes:
		err = fmt.Errorf("message of %d bytes, at most %d are taken", len(in), maxMessageBytes)
	case c.stage == firstDue:
		out, err = c.first(string(in))
	case c.stage == proofDue:
		out, err = c.proof(string(in))
	default:
		err = errors.New("the conversation is over")
	}
	if err != nil {
		c.becomeBroken()
		return nil, false, err
	}
	return out, c.stage == proven, nil
}

// Format tells the mechanism and nothing else, whatever the verb.
func (c *Conversation) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%s conversation", c.mechanism) }

// User is who the client has proven to be; empty before.
func (c *Conversation) User() string {
	if c.stage != proven {
		return ""
	}
	return c.user
}

func (c *Conversation) becomeProofDue() {
	if c.stage != firstDue {
		panic("assertion failed: proof due from a conversation that has begun")
	}
	c.stage = proofDue
}

func (c *Conversation) becomeProven() {
	if c.stage != proofDue {
		panic("assertion failed: proven without a proof due")
	}
	c.stage = proven
}

// becomeBroken is possible from everywhere: a client that goes on after it was proven is not trusted either.
func (c *Conversation) becomeBroken() { c.stage = broken }

func (c *Conversation) first(message string) ([]byte, error) {
	f, err := parseClientFirst(message)
	if err != nil {
		return nil, err
	}
	c.user, c.gs2, c.clientBare = f.user, f.gs2, f.bare
	c.credential = c.lookup(f.user)
	c.fullNonce = f.nonce + c.nonce
	c.serverSaid = fmt.Sprintf("r=%s,s=%s,i=%d", c.fullNonce, base64.StdEncoding.EncodeToString(c.credential.Salt), c.credential.Iterations)
	c.becomeProofDue()
	return []byte(c.serverSaid), nil
}

// isOurNonce takes the nonce that the server sent. librdkafka before 2.6.1 puts its own part in front once more; the
// server's is all there, so nothing is lost by taking that, too.
func (c *Conversation) isOurNonce(nonce string) bool {
	theirs := strings.TrimSuffix(c.fullNonce, c.nonce)
	return same(nonce, c.fullNonce) || same(nonce, theirs+c.fullNonce)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (c *Conversation) proof(message string) ([]byte, error) {
	f, err := parseClientFinal(message)
	switch {
	case err != nil:
		return nil, err
	case f.gs2 != c.gs2:
		return nil, errors.New("channel binding differs from the first message")
	case !c.isOurNonce(f.nonce):
		return nil, errors.New("nonce differs from the server's")
	}
	said := c.clientBare + "," + c.serverSaid + "," + f.withoutProof
	signature := mac(c.mechanism, c.credential.StoredKey, said)
	if len(f.proof) != len(signature) {
		return nil, fmt.Errorf("a proof of %s has %d bytes, not %d", c.mechanism, len(signature), len(f.proof))
	}
	clientKey := bytes.Clone(f.proof)
	subtle.XORBytes(clientKey, clientKey, signature)
	if !hmac.Equal(digest(c.mechanism, clientKey), c.credential.StoredKey) {
		return nil, ErrCredentials
	}
	c.becomeProven()
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(c.mechanism, c.credential.ServerKey, said))), nil
}

// clientFirst is the first message of a client, taken apart.
type clientFirst struct{ gs2, bare, user, nonce string }

func parseClientFirst(message string) (f clientFirst, err error) {
	flag, rest, ok1 := strings.Cut(message, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok1 || !ok2 {
		return f, errors.New("the first message is incomplete")
	}
	switch {
	case flag == "n" || flag == "y": // y: the client could bind, and believes that we cannot, which is so
	case strings.HasPrefix(flag, "p="):
		return f, errors.New("channel binding is not supported")
	default:
		return f, errors.New("the channel binding flag is none of n, y, p")
	}
	f.gs2, f.bare = flag+","+authzid+",", bare
	attributes := strings.Split(bare, ",")
	if len(attributes) < 2 || !strings.HasPrefix(attributes[0], "n=") || !strings.HasPrefix(attributes[1], "r=") {
		return f, errors.New("the first message must begin with user and nonce")
	}
	if f.user, err = saslName(attributes[0][2:]); err != nil {
		return f, err
	}
	if f.nonce, err = checkNonce(attributes[1][2:]); err != nil {
		return f, err
	}
	if err := checkAuthzid(authzid, f.user); err != nil {
		return f, err
	}
	return f, checkExtensions(attributes[2:])
}

// checkAuthzid: nobody may act as somebody else.
func checkAuthzid(authzid, user string) error {
	if authzid == "" {
		return nil
	}
	raw, ok := strings.CutPrefix(authzid, "a=")
	name, err := saslName(raw)
	if !ok || err != nil || name != user {
		return errors.New("the authorization id is not the user's name")
	}
	return nil
}

// checkExtensions lets pass what may be ignored: attributes that are no demand ("m") and not Kafka's delegation tokens.
func checkExtensions(attributes []string) error {
	for _, a := range attributes {
		name, value, ok := strings.Cut(a, "=")
		switch {
		case !ok || name == "":
			return errors.New("an extension has no value")
		case name == "m":
			return errors.New("a mandatory extension is not supported")
		case name == "tokenauth" && strings.EqualFold(value, "true"):
			return errors.New("delegation tokens are not supported")
		}
	}
	return nil
}

// saslName undoes the escapes =2C and =3D; any other use of = is an error.
func saslName(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", errors.New("a name holds an unknown escape")
		}
		s = after[2:]
	}
	return b.String(), checkUserName(b.String())
}

func checkNonce(s string) (string, error) {
	if s == "" || len(s) > maxNonceBytes {
		return "", fmt.Errorf("a nonce must have 1 to %d bytes", maxNonceBytes)
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return "", errors.New("a nonce must be printable ASCII")
		}
	}
	return s, nil
}

// clientFinal is the second message of a client, taken apart.
type clientFinal struct {
	gs2, nonce, withoutProof string
	proof                    []byte
}

func parseClientFinal(message string) (f clientFinal, err error) {
	at := strings.LastIndex(message, ",p=")
	if at < 0 {
		return f, errors.New("the second message has no proof at its end")
	}
	f.withoutProof = message[:at]
	attributes := strings.Split(f.withoutProof, ",")
	if len(attributes) < 2 || !strings.HasPrefix(attributes[0], "c=") || !strings.HasPrefix(attributes[1], "r=") {
		return f, errors.New("the second message must begin with channel binding and nonce")
	}
	gs2, err := base64.StdEncoding.DecodeString(attributes[0][2:])
	if err != nil {
		return f, errors.New("channel binding is not base64")
	}
	if f.proof, err = base64.StdEncoding.DecodeString(message[at+3:]); err != nil {
		return f, errors.New("the proof is not base64")
	}
	f.gs2, f.nonce = string(gs2), attributes[1][2:]
	return f, checkExtensions(attributes[2:])
}
