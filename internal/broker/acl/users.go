package acl

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	seedBytes      = 32
	maxUserChanges = 10_000 // in one request
)

// Users are the names that can log in, with at most one credential per mechanism.
type Users struct {
	mu     sync.RWMutex
	byName map[string]map[Mechanism]Credential // guarded by mu; a credential is never changed in place
	seed   []byte                              // guarded by mu; of the salts of unknown users
	lasts  bool                                // guarded by mu; the seed came from an entry
	counts map[Mechanism]map[int]int           // guarded by mu; how many credentials have so many iterations
}

func newUsers() *Users {
	u := &Users{byName: map[string]map[Mechanism]Credential{}, seed: make([]byte, seedBytes),
		counts: map[Mechanism]map[int]int{ScramSHA256: {}, ScramSHA512: {}}}
	rand.Read(u.seed)
	return u
}

// Set plans that a user has this password, with both SCRAM mechanisms: the way a password file becomes a user.
func (u *Users) Set(name, password string, iterations int) ([]Entry, error) {
	if err := checkUserName(name); err != nil {
		return nil, fmt.Errorf("set user %q: %w", name, err)
	}
	var entries []Entry
	for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
		c, err := NewCredential(m, password, iterations)
		if err != nil {
			return nil, fmt.Errorf("set user %q: %w", name, err)
		}
		entries = append(entries, setUser(name, c))
	}
	return entries, nil
}

// Matches tells whether every credential of the user is of this password, so that a start with an unchanged password
// file has nothing to write.
func (u *Users) Matches(name, password string) bool {
	all := u.of(name)
	for _, c := range all {
		if !c.matches(password) {
			return false
		}
	}
	return len(all) == 2
}

// Describe answers which mechanisms users have: those of the request, or all if it names none.
func (u *Users) Describe(r *kmsg.DescribeUserSCRAMCredentialsRequest) *kmsg.DescribeUserSCRAMCredentialsResponse {
	answer := r.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if len(r.Users) == 0 {
		for _, name := range u.Names() {
			answer.Results = append(answer.Results, u.describe(name))
		}
		return answer
	}
	times := map[string]int{}
	for _, asked := range r.Users {
		times[asked.Name]++
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		result := u.describe(name)
		if times[name] > 1 {
			result.CredentialInfos = nil
			result.ErrorCode, result.ErrorMessage = refusal(kerr.DuplicateResource, "the user is named twice")
		}
		answer.Results = append(answer.Results, result)
	}
	return answer
}

func (u *Users) describe(name string) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	result := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	result.User = name
	all := u.of(name)
	if len(all) == 0 {
		result.ErrorCode, result.ErrorMessage = refusal(kerr.ResourceNotFound, "there is no such user")
	}
	for _, m := range slices.Sorted(maps.Keys(all)) {
		info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
		info.Mechanism, info.Iterations = m.wire(), int32(all[m].Iterations)
		result.CredentialInfos = append(result.CredentialInfos, info)
	}
	return result
}

// change is one line of an alteration.
type change struct {
	user      string
	mechanism int8
	set       *kmsg.AlterUserSCRAMCredentialsRequestUpsertion // nil: remove
}

// Alter plans the changes of a request and answers it. As in Kafka a user with one wrong change is not changed at all, and
// the others are. The answer holds once the entries are durable and applied.
func (u *Users) Alter(r *kmsg.AlterUserSCRAMCredentialsRequest) (*kmsg.AlterUserSCRAMCredentialsResponse, []Entry) {
	answer := r.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	var entries []Entry
	byUser := changesOf(r)
	for _, name := range slices.Sorted(maps.Keys(byUser)) {
		result := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		result.User = name
		planned, err := u.alterUser(name, byUser[name], len(r.Deletions)+len(r.Upsertions))
		if err != nil {
			result.ErrorCode, result.ErrorMessage = refusalOf(err)
		}
		entries = append(entries, planned...)
		answer.Results = append(answer.Results, result)
	}
	return answer, entries
}

func changesOf(r *kmsg.AlterUserSCRAMCredentialsRequest) map[string][]change {
	byUser := map[string][]change{}
	for _, d := range r.Deletions {
		byUser[d.Name] = append(byUser[d.Name], change{user: d.Name, mechanism: d.Mechanism})
	}
	for i, s := range r.Upsertions {
		byUser[s.Name] = append(byUser[s.Name], change{user: s.Name, mechanism: s.Mechanism, set: &r.Upsertions[i]})
	}
	return byUser
}

func (u *Users) alterUser(name string, changes []change, inRequest int) (entries []Entry, err error) {
	if inRequest > maxUserChanges {
		return nil, because(kerr.InvalidRequest, "more than %d changes in one request", maxUserChanges)
	}
	seen := map[int8]bool{}
	for _, c := range changes {
		if seen[c.mechanism] {
			return nil, because(kerr.DuplicateResource, "the user is changed twice for one mechanism")
		}
		seen[c.mechanism] = true
		e, err := u.alterOne(name, c)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (u *Users) alterOne(name string, c change) (Entry, error) {
	if err := checkUserName(name); err != nil {
		return Entry{}, because(kerr.UnacceptableCredential, "%v", err)
	}
	m, ok := mechanismOfWire(c.mechanism)
	if !ok {
		return Entry{}, because(kerr.UnsupportedSaslMechanism, "unknown mechanism %d", c.mechanism)
	}
	if c.set != nil {
		credential, err := SaltedCredential(m, slices.Clone(c.set.Salt), c.set.SaltedPassword, int(c.set.Iterations))
		if err != nil {
			return Entry{}, because(kerr.UnacceptableCredential, "%v", err)
		}
		return setUser(name, credential), nil
	}
	if _, known := u.of(name)[m]; !known {
		return Entry{}, because(kerr.ResourceNotFound, "the user has no credential for %s", m)
	}
	return Entry{Kind: KindUserRemoved, User: name, Mechanism: m}, nil
}

// Names lists the users in order.
func (u *Users) Names() []string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.Sorted(maps.Keys(u.byName))
}

func (u *Users) of(name string) map[Mechanism]Credential {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return maps.Clone(u.byName[name])
}

// credential returns what the password of a user is checked against. For an unknown user it is one that no password
// matches, the same each time and made with the same work, so that a stranger cannot tell who exists.
func (u *Users) credential(name string, m Mechanism) Credential {
	u.mu.RLock()
	defer u.mu.RUnlock()
	decoy := u.decoy(name, m)
	if c, known := u.byName[name][m]; known {
		return c
	}
	return decoy
}

// decoy needs mu. Its keys are hashes of a secret: nobody knows a password for them.
func (u *Users) decoy(name string, m Mechanism) Credential {
	return Credential{
		Mechanism: m, Iterations: u.usualIterations(m),
		Salt:      saltFrom(mac(ScramSHA256, u.seed, "salt "+string(m)+" "+name)),
		StoredKey: mac(m, u.seed, "stored "+name),
		ServerKey: mac(m, u.seed, "server "+name),
	}
}

// usualIterations needs mu. It tells what most users have, so that decoys do not stand out.
func (u *Users) usualIterations(m Mechanism) int {
	usual, most := DefaultIterations, 0
	for n, users := range u.counts[m] {
		if users > most || users == most && n < usual {
			usual, most = n, users
		}
	}
	return usual
}

// matches checks a password in clear against the user's credential. It does the work for both mechanisms, whichever the
// user has, or the time would tell.
func (u *Users) matches(name, password string) bool {
	by256 := u.credential(name, ScramSHA256).matches(password)
	by512 := u.credential(name, ScramSHA512).matches(password)
	if u.plainMechanism(name) == ScramSHA256 {
		return by256
	}
	return by512
}

// plainMechanism tells which credential a password in clear is checked against.
func (u *Users) plainMechanism(name string) Mechanism {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if _, ok := u.byName[name][ScramSHA512]; ok {
		return ScramSHA512
	}
	if _, ok := u.byName[name][ScramSHA256]; ok {
		return ScramSHA256
	}
	return ScramSHA512
}

func (u *Users) begin() []Entry {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.lasts {
		return nil
	}
	return []Entry{{Kind: KindSeed, Seed: u.seed}}
}

func (u *Users) setSeed(seed []byte) error {
	if len(seed) != seedBytes {
		return fmt.Errorf("a seed has %d bytes, not %d", seedBytes, len(seed))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seed, u.lasts = seed, true
	return nil
}

func (u *Users) set(name string, m Mechanism, c *Credential) error {
	switch {
	case c == nil || c.Mechanism != m:
		return errors.New("no credential for the mechanism")
	case checkUserName(name) != nil:
		return checkUserName(name)
	case c.check() != nil:
		return c.check()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byName[name] == nil {
		u.byName[name] = map[Mechanism]Credential{}
	}
	u.forget(name, m)
	u.byName[name][m] = *c
	u.counts[m][c.Iterations]++
	return nil
}

func (u *Users) remove(name string, m Mechanism) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(name, m)
	if len(u.byName[name]) == 0 {
		delete(u.byName, name)
	}
	return nil
}

// forget needs mu.
func (u *Users) forget(name string, m Mechanism) {
	c, known := u.byName[name][m]
	if !known {
		return
	}
	if u.counts[m][c.Iterations]--; u.counts[m][c.Iterations] == 0 {
		delete(u.counts[m], c.Iterations)
	}
	delete(u.byName[name], m)
}

// Format tells how many users there are and nothing else, whatever the verb.
func (u *Users) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%d users", len(u.Names())) }

func (u *Users) snapshot() (entries []Entry) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.lasts {
		entries = append(entries, Entry{Kind: KindSeed, Seed: u.seed})
	}
	for name, all := range u.byName {
		for _, c := range all {
			entries = append(entries, setUser(name, c))
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.User, b.User), cmp.Compare(a.Mechanism, b.Mechanism))
	})
	return entries
}

func setUser(name string, c Credential) Entry {
	return Entry{Kind: KindUserSet, User: name, Mechanism: c.Mechanism, Credential: &c}
}

func checkUserName(name string) error {
	if name == "" || len(name) > maxUserBytes {
		return fmt.Errorf("a user's name must have 1 to %d bytes", maxUserBytes)
	}
	if name == "*" {
		return errors.New("a user cannot be named *, which stands for everyone")
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return errors.New("a user's name must be printable text")
		}
	}
	return nil
}
