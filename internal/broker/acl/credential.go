package acl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/big"
	"strings"
)

// Mechanism is the name of a SASL mechanism.
type Mechanism string

// The mechanisms that the broker knows.
const (
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
	Plain       Mechanism = "PLAIN" // sends the password: only over TLS
)

// Bounds of a credential. The iterations are those of Kafka.
const (
	MinIterations     = 4096
	MaxIterations     = 16384
	DefaultIterations = 4096

	maxUserBytes     = 256
	maxPasswordBytes = 1024
	maxSaltBytes     = 256
)

// hash tells the hash function behind a SCRAM mechanism; nil for any other.
func (m Mechanism) hash() func() hash.Hash {
	switch m {
	case ScramSHA256:
		return sha256.New
	case ScramSHA512:
		return sha512.New
	default:
		return nil
	}
}

// wire is the number of the mechanism in requests about users; 0 if it has none.
func (m Mechanism) wire() int8 {
	switch m {
	case ScramSHA256:
		return 1
	case ScramSHA512:
		return 2
	default:
		return 0
	}
}

func mechanismOfWire(n int8) (Mechanism, bool) {
	switch n {
	case 1:
		return ScramSHA256, true
	case 2:
		return ScramSHA512, true
	}
	return "", false
}

// Credential is what the broker keeps of a password: enough to check it, not enough to use it elsewhere. It prints as its
// mechanism; only its JSON form holds the keys.
type Credential struct {
	Mechanism  Mechanism `json:"mechanism"`
	Iterations int       `json:"iterations"`
	Salt       []byte    `json:"salt"`
	StoredKey  []byte    `json:"storedKey"`
	ServerKey  []byte    `json:"serverKey"`
}

// NewCredential derives a credential from a password with a fresh salt. Iterations 0 means DefaultIterations.
func NewCredential(m Mechanism, password string, iterations int) (Credential, error) {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if password == "" || len(password) > maxPasswordBytes {
		return Credential{}, fmt.Errorf("make credential: the password must have 1 to %d bytes", maxPasswordBytes)
	}
	if err := checkIterations(m, iterations); err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	salt := newSalt()
	return SaltedCredential(m, salt, saltedPassword(m, password, salt, iterations), iterations)
}

// SaltedCredential makes a credential of a password that somebody else salted, as clients do to alter users.
func SaltedCredential(m Mechanism, salt, salted []byte, iterations int) (Credential, error) {
	if err := checkIterations(m, iterations); err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	if len(salted) != m.hash()().Size() {
		return Credential{}, fmt.Errorf("make credential: a salted password of %s has %d bytes, not %d", m, m.hash()().Size(), len(salted))
	}
	stored := digest(m, mac(m, salted, "Client Key"))
	c := Credential{Mechanism: m, Iterations: iterations, Salt: salt, StoredKey: stored, ServerKey: mac(m, salted, "Server Key")}
	if err := c.check(); err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	return c, nil
}

func checkIterations(m Mechanism, n int) error {
	switch {
	case m.hash() == nil:
		return fmt.Errorf("mechanism %q keeps no credentials", string(m))
	case n < MinIterations || n > MaxIterations:
		return fmt.Errorf("iterations %d: must be %d to %d", n, MinIterations, MaxIterations)
	}
	return nil
}

// check tells whether c is one that this package could have made.
func (c Credential) check() error {
	if err := checkIterations(c.Mechanism, c.Iterations); err != nil {
		return err
	}
	size := c.Mechanism.hash()().Size()
	switch {
	case len(c.Salt) == 0 || len(c.Salt) > maxSaltBytes:
		return fmt.Errorf("a salt must have 1 to %d bytes", maxSaltBytes)
	case len(c.StoredKey) != size || len(c.ServerKey) != size:
		return errors.New("a key has the wrong length")
	}
	return nil
}

// matches tells whether the password is the one of c, in a time that depends on neither.
func (c Credential) matches(password string) bool {
	salted := saltedPassword(c.Mechanism, password, c.Salt, c.Iterations)
	return hmac.Equal(digest(c.Mechanism, mac(c.Mechanism, salted, "Client Key")), c.StoredKey)
}

// String tells the mechanism and nothing that helps to guess the password.
func (c Credential) String() string { return string(c.Mechanism) + " credential" }

// Format is String whatever the verb: %d or %#v must not print keys either.
func (c Credential) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// LogValue is String: a logger that writes JSON must not print keys either.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// saltedPassword is Hi of RFC 5802. Like Kafka it takes the bytes of the password as they are, without SASLprep.
func saltedPassword(m Mechanism, password string, salt []byte, iterations int) []byte {
	key, err := pbkdf2.Key(m.hash(), password, salt, iterations, m.hash()().Size())
	if err != nil { // only for lengths that cannot be, or hashes that FIPS forbids
		panic(fmt.Sprintf("assertion failed: derive key with %s: %v", m, err))
	}
	return key
}

func mac(m Mechanism, key []byte, text string) []byte {
	h := hmac.New(m.hash(), key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func digest(m Mechanism, b []byte) []byte {
	h := m.hash()()
	h.Write(b)
	return h.Sum(nil)
}

// newSalt is random and looks like the salts that Kafka's tools make, so that those of unknown users look like both.
func newSalt() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return saltFrom(b)
}

// saltFrom writes 130 bits of b in 26 letters and digits.
func saltFrom(b []byte) []byte {
	n := new(big.Int).SetBytes(b)
	n.And(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(1)))
	text := n.Text(36)
	return []byte(strings.Repeat("0", max(0, 26-len(text))) + text)
}
