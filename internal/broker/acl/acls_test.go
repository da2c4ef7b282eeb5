package acl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

const (
	literal  = kmsg.ACLResourcePatternTypeLiteral
	prefixed = kmsg.ACLResourcePatternTypePrefixed
	allow    = kmsg.ACLPermissionTypeAllow
	deny     = kmsg.ACLPermissionTypeDeny
	every    = kmsg.ACLOperationAll
)

func on(topic string) Binding {
	return Binding{kmsg.ACLResourceTypeTopic, literal, topic, "User:alice", "*", read, allow}
}

func with(b Binding, change func(*Binding)) Binding {
	change(&b)
	return b
}

func bound(t testing.TB, o Options, bindings ...Binding) *ACLs {
	t.Helper()
	a := newACLs(o)
	for _, b := range bindings {
		if err := a.put(b, true); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestDecisions(t *testing.T) {
	denial := func(b *Binding) { b.Permission = deny }
	prefix := func(b *Binding) { b.Pattern = prefixed }
	forAll := func(b *Binding) { b.Principal = Everyone }
	doing := func(op kmsg.ACLOperation) func(*Binding) { return func(b *Binding) { b.Operation = op } }
	from := func(host string) func(*Binding) { return func(b *Binding) { b.Host = host } }
	for _, c := range []struct {
		name     string
		bindings []Binding
		op       kmsg.ACLOperation
		topic    string
		want     bool
	}{
		{"nothing bound", nil, read, "orders", false},
		{"the very name", []Binding{on("orders")}, read, "orders", true},
		{"another name", []Binding{on("orders")}, read, "order", false},
		{"a literal is no prefix", []Binding{on("orders")}, read, "orders-2", false},
		{"every name", []Binding{on("*")}, read, "orders", true},
		{"prefix", []Binding{with(on("ord"), prefix)}, read, "orders", true},
		{"prefix as long as the name", []Binding{with(on("orders"), prefix)}, read, "orders", true},
		{"prefix longer than the name", []Binding{with(on("orders"), prefix)}, read, "order", false},
		{"prefix inside", []Binding{with(on("rders"), prefix)}, read, "orders", false},
		{"prefix star is a star", []Binding{with(on("*"), prefix)}, read, "orders", false},
		{"other principal", []Binding{with(on("orders"), func(b *Binding) { b.Principal = "User:bob" })}, read, "orders", false},
		{"everyone", []Binding{with(on("orders"), forAll)}, read, "orders", true},
		{"this host", []Binding{with(on("orders"), from("10.0.0.1"))}, read, "orders", true},
		{"other host", []Binding{with(on("orders"), from("10.0.0.2"))}, read, "orders", false},
		{"denial wins over the same name", []Binding{on("orders"), with(on("orders"), denial)}, read, "orders", false},
		{"denial of a prefix wins over the name", []Binding{on("orders"), with(with(on("o"), prefix), denial)}, read, "orders", false},
		{"denial of everyone wins", []Binding{on("orders"), with(with(on("*"), forAll), denial)}, read, "orders", false},
		{"denial of all operations wins", []Binding{on("orders"), with(with(on("orders"), denial), doing(every))}, read, "orders", false},
		{"denial for another host does not", []Binding{on("orders"), with(with(on("orders"), denial), from("10.0.0.2"))}, read, "orders", true},
		{"denial of another operation does not", []Binding{on("orders"), with(with(on("orders"), denial), doing(write))}, read, "orders", true},
		{"all includes read", []Binding{with(on("orders"), doing(every))}, read, "orders", true},
		{"read shows", []Binding{on("orders")}, describe, "orders", true},
		{"write shows", []Binding{with(on("orders"), doing(write))}, describe, "orders", true},
		{"delete shows", []Binding{with(on("orders"), doing(remove))}, describe, "orders", true},
		{"alter shows", []Binding{with(on("orders"), doing(alter))}, describe, "orders", true},
		{"create does not show", []Binding{with(on("orders"), doing(create))}, describe, "orders", false},
		{"altering configs shows them", []Binding{with(on("orders"), doing(alterConfigs))}, describeConfigs, "orders", true},
		{"altering configs does not show the topic", []Binding{with(on("orders"), doing(alterConfigs))}, describe, "orders", false},
		{"describe is not read", []Binding{with(on("orders"), doing(describe))}, read, "orders", false},
		{"a denied read does not hide", []Binding{with(on("orders"), doing(write)), with(on("orders"), denial)}, describe, "orders", true},
		{"other type", []Binding{with(on("orders"), func(b *Binding) { b.Type = kmsg.ACLResourceTypeGroup })}, read, "orders", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := bound(t, Options{}, c.bindings...)
			if got := a.Allowed("User:alice", "10.0.0.1", c.op, Topic(c.topic)); got != c.want {
				t.Errorf("Allowed = %v", got)
			}
			if !bound(t, Options{SuperUsers: []Principal{"User:alice"}}, c.bindings...).Allowed("User:alice", "10.0.0.1", c.op, Topic(c.topic)) {
				t.Error("a super user is refused")
			}
		})
	}
}

func TestResourcesWithoutBindingAreOpenOnlyByOption(t *testing.T) {
	a := bound(t, Options{AllowWithoutBinding: true}, on("orders"))
	if !a.Allowed("User:bob", "h", write, Topic("other")) {
		t.Error("refused where no binding speaks")
	}
	if a.Allowed("User:bob", "h", read, Topic("orders")) {
		t.Error("allowed where a binding speaks, of somebody else")
	}
}

// twinAllowed is Allowed, the obvious way.
func twinAllowed(bindings []Binding, byDefault bool, p Principal, host string, op kmsg.ACLOperation, r Resource) bool {
	found, allowed := false, false
	for _, b := range bindings {
		if b.Type != r.Type || !(b.Pattern == prefixed && strings.HasPrefix(r.Name, b.Name) || b.Pattern == literal && (b.Name == r.Name || b.Name == "*")) {
			continue
		}
		found = true
		if b.Principal != p && b.Principal != Everyone || b.Host != "*" && b.Host != host {
			continue
		}
		if b.Permission == deny {
			if b.Operation == op || b.Operation == every {
				return false
			}
			continue
		}
		implied := map[kmsg.ACLOperation][]kmsg.ACLOperation{describe: {read, write, remove, alter}, describeConfigs: {alterConfigs}}
		allowed = allowed || b.Operation == op || b.Operation == every || slices.Contains(implied[op], b.Operation)
	}
	return allowed || !found && byDefault
}

var (
	someNames   = []string{"a", "ab", "abc", "b", "ba", "*", "a*", "zz"}
	somePeople  = []Principal{"User:alice", "User:bob", Everyone}
	someHosts   = []string{"*", "10.0.0.1", "10.0.0.2"}
	someActions = []kmsg.ACLOperation{every, read, write, create, remove, alter, describe, describeConfigs, alterConfigs}
)

func drawBinding(t *rapid.T) Binding {
	return Binding{
		Type: kmsg.ACLResourceTypeTopic, Pattern: rapid.SampledFrom([]kmsg.ACLResourcePatternType{literal, prefixed}).Draw(t, "pattern"),
		Name: rapid.SampledFrom(someNames).Draw(t, "name"), Principal: rapid.SampledFrom(somePeople).Draw(t, "principal"),
		Host: rapid.SampledFrom(someHosts).Draw(t, "host"), Operation: rapid.SampledFrom(someActions).Draw(t, "operation"),
		Permission: rapid.SampledFrom([]kmsg.ACLPermissionType{allow, allow, deny}).Draw(t, "permission"),
	}
}

func TestIndexDecidesLikeALongList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		byDefault := rapid.Bool().Draw(t, "default")
		a := newACLs(Options{AllowWithoutBinding: byDefault})
		for _, b := range rapid.SliceOfN(rapid.Custom(drawBinding), 0, 12).Draw(t, "added") {
			_ = a.put(b, true)
		}
		for _, b := range a.list() {
			if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
				_ = a.put(b, false)
			}
		}
		all := a.list()
		names := []string{"q"}
		for _, n := range someNames {
			names = append(names, n, n+"!") // the second: some name that begins with n and is not bound by itself
		}
		for _, p := range somePeople[:2] {
			for _, op := range someActions[1:] {
				any := false
				for _, name := range names {
					got, want := a.Allowed(p, "10.0.0.1", op, Topic(name)), twinAllowed(all, byDefault, p, "10.0.0.1", op, Topic(name))
					if got != want {
						t.Fatalf("%s %v %q: %v, the list says %v", p, op, name, got, want)
					}
					any = any || want
				}
				if a.AllowedAny(p, "10.0.0.1", op, kmsg.ACLResourceTypeTopic) != any {
					t.Fatalf("%s %v: AllowedAny = %v, some topic: %v\n%v", p, op, !any, any, all)
				}
			}
		}
	})
}

func creation(b Binding) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = b.Type, b.Name, b.Pattern
	c.Principal, c.Host, c.Operation, c.PermissionType = string(b.Principal), b.Host, b.Operation, b.Permission
	return c
}

func TestCreateBindings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Binding)
		ok     bool
	}{
		{"topic", func(*Binding) {}, true},
		{"prefix", func(b *Binding) { b.Pattern = prefixed }, true},
		{"cluster", func(b *Binding) {
			b.Type, b.Name, b.Operation = kmsg.ACLResourceTypeCluster, ClusterName, idempotentWrite
		}, true},
		{"cluster by another name", func(b *Binding) { b.Type, b.Operation = kmsg.ACLResourceTypeCluster, create }, false},
		{"pattern match", func(b *Binding) { b.Pattern = kmsg.ACLResourcePatternTypeMatch }, false},
		{"pattern any", func(b *Binding) { b.Pattern = kmsg.ACLResourcePatternTypeAny }, false},
		{"type any", func(b *Binding) { b.Type = kmsg.ACLResourceTypeAny }, false},
		{"type unknown", func(b *Binding) { b.Type = 99 }, false},
		{"operation any", func(b *Binding) { b.Operation = kmsg.ACLOperationAny }, false},
		{"operation that topics do not have", func(b *Binding) { b.Operation = clusterAction }, false},
		{"permission any", func(b *Binding) { b.Permission = kmsg.ACLPermissionTypeAny }, false},
		{"no name", func(b *Binding) { b.Name = "" }, false},
		{"huge name", func(b *Binding) { b.Name = strings.Repeat("x", maxNameBytes+1) }, false},
		{"no host", func(b *Binding) { b.Host = "" }, false},
		{"principal without type", func(b *Binding) { b.Principal = "alice" }, false},
		{"principal without name", func(b *Binding) { b.Principal = "User:" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newACLs(Options{})
			r := kmsg.NewPtrCreateACLsRequest()
			r.Version = 3
			b := with(on("orders"), c.change)
			r.Creations = append(r.Creations, creation(b), creation(on("beside")), creation(b))
			answer, entries := a.Create(r)
			if got := answer.Results[0].ErrorCode; (got == 0) != c.ok || !c.ok && got != kerr.InvalidRequest.Code {
				t.Errorf("code %d, %v", got, answer.Results[0].ErrorMessage)
			}
			if want := map[bool]int{true: 2, false: 1}[c.ok]; len(entries) != want || len(answer.Results) != 3 || answer.Results[1].ErrorCode != 0 {
				t.Errorf("entries %v, results %+v", entries, answer.Results)
			}
			if len(a.list()) > 0 {
				t.Error("planning changed something")
			}
		})
	}
}

// found are the bindings that a filter selects, by the letter that names them.
func TestFilters(t *testing.T) {
	name, alice, star := "orders", "User:alice", "*"
	bindings := map[string]Binding{
		"a": on("orders"), "b": on("*"), "c": with(on("ord"), func(b *Binding) { b.Pattern = prefixed }),
		"d": with(on("orders"), func(b *Binding) { b.Pattern = prefixed }), "e": on("other"),
		"f": with(on("orders"), func(b *Binding) { b.Principal, b.Operation, b.Permission = "User:bob", write, deny }),
		"g": with(on("orders"), func(b *Binding) { b.Type = kmsg.ACLResourceTypeGroup }),
	}
	anything := filter{kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, nil, nil, nil, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny}
	for _, c := range []struct {
		name    string
		version int16
		change  func(*filter)
		want    string
		invalid bool
	}{
		{"everything", 3, func(*filter) {}, "abcdefg", false},
		{"topics", 3, func(f *filter) { f.kind = kmsg.ACLResourceTypeTopic }, "abcdef", false},
		{"any pattern of a name", 3, func(f *filter) { f.name = &name }, "adfg", false},
		{"literal", 3, func(f *filter) { f.name, f.pattern = &name, literal }, "afg", false},
		{"prefixed", 3, func(f *filter) { f.name, f.pattern = &name, prefixed }, "d", false},
		{"match", 3, func(f *filter) {
			f.name, f.pattern, f.kind = &name, kmsg.ACLResourcePatternTypeMatch, kmsg.ACLResourceTypeTopic
		}, "abcdf", false},
		{"star", 3, func(f *filter) { f.name = &star }, "b", false},
		{"principal", 3, func(f *filter) { f.principal, f.kind = &alice, kmsg.ACLResourceTypeTopic }, "abcde", false},
		{"operation", 3, func(f *filter) { f.operation = write }, "f", false},
		{"denials", 3, func(f *filter) { f.permission = deny }, "f", false},
		{"other host", 3, func(f *filter) { f.host = &name }, "", false},
		{"version 0 knows literals", 0, func(f *filter) { f.pattern = 0 }, "abefg", false},
		{"unknown type", 3, func(f *filter) { f.kind = 0 }, "", true},
		{"unknown pattern", 3, func(f *filter) { f.pattern = 9 }, "", true},
		{"unknown operation", 3, func(f *filter) { f.operation = 99 }, "", true},
		{"unknown permission", 3, func(f *filter) { f.permission = 0 }, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := New(Options{})
			letters := map[Binding]string{}
			for letter, b := range bindings {
				letters[b] = letter
				applyAll(t, state, []Entry{{Kind: KindBindingAdded, Binding: &b}})
			}
			f := anything
			c.change(&f)
			describing := &kmsg.DescribeACLsRequest{Version: c.version, ResourceType: f.kind, ResourceName: f.name, ResourcePatternType: f.pattern,
				Principal: f.principal, Host: f.host, Operation: f.operation, PermissionType: f.permission}
			described := state.ACLs.Describe(describing)
			var found []string
			for _, r := range described.Resources {
				for _, l := range r.ACLs {
					found = append(found, letters[Binding{r.ResourceType, r.ResourcePatternType, r.ResourceName, Principal(l.Principal), l.Host, l.Operation, l.PermissionType}])
				}
			}
			slices.Sort(found)
			if got := strings.Join(found, ""); got != c.want || (described.ErrorCode == kerr.InvalidRequest.Code) != c.invalid {
				t.Errorf("described %q, want %q; code %d", got, c.want, described.ErrorCode)
			}

			one := kmsg.DeleteACLsRequestFilter{ResourceType: f.kind, ResourceName: f.name, ResourcePatternType: f.pattern,
				Principal: f.principal, Host: f.host, Operation: f.operation, PermissionType: f.permission}
			answer, entries := state.ACLs.Delete(&kmsg.DeleteACLsRequest{Version: c.version, Filters: []kmsg.DeleteACLsRequestFilter{one, one}})
			if len(entries) != len(c.want) || len(answer.Results[1].MatchingACLs) != len(c.want) || (answer.Results[0].ErrorCode != 0) != c.invalid {
				t.Errorf("deleted %v, answer %+v", entries, answer.Results)
			}
			applyAll(t, state, entries)
			if left := len(state.ACLs.list()); left != len(bindings)-len(c.want) {
				t.Errorf("%d bindings left", left)
			}
		})
	}
}

// What was snapshotted and replayed, through JSON as in the journal, decides the same.
func TestStateSurvivesTheJournal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(Options{})
		for _, b := range rapid.SliceOfN(rapid.Custom(drawBinding), 0, 8).Draw(t, "bindings") {
			_ = s.Apply(Entry{Kind: KindBindingAdded, Binding: &b})
		}
		for _, e := range rapid.SliceOfN(rapid.Custom(drawEntity), 0, 8).Draw(t, "entities") {
			_ = s.Apply(Entry{Kind: KindQuotaSet, Entity: &e, Quotas: map[string]float64{producerByteRate: 1}})
		}
		for _, e := range s.Begin() {
			_ = s.Apply(e)
		}
		_ = s.Apply(setUser("alice", s.Users.decoy("alice", ScramSHA256)))
		if s.Begin() != nil {
			t.Fatal("a state that has begun begins again")
		}
		want, err := json.Marshal(s.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		again := New(Options{})
		var entries []Entry
		if err := json.Unmarshal(want, &entries); err != nil {
			t.Fatal(err)
		}
		for range 2 { // applying twice is the same as once
			for _, e := range entries {
				if err := again.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got, _ := json.Marshal(again.Snapshot()); string(got) != string(want) {
			t.Fatalf("after the journal:\n%s\nbefore:\n%s", got, want)
		}
	})
}

func FuzzApply(f *testing.F) {
	s := withUser(f, "secret")
	b := on("orders")
	for _, e := range append(s.Snapshot(), Entry{Kind: KindBindingAdded, Binding: &b}, Entry{Kind: KindQuotaSet, Entity: &Entity{User: "alice"}}, Entry{Kind: KindUserRemoved}) {
		text, _ := json.Marshal(e)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var e Entry
		if json.Unmarshal(text, &e) != nil {
			return
		}
		s := New(Options{})
		if s.Apply(e) != nil {
			if got := s.Snapshot(); len(got) > 0 {
				t.Fatalf("a refused entry changed the state: %v", got)
			}
			return
		}
		for _, again := range s.Snapshot() {
			if err := New(Options{}).Apply(again); err != nil {
				t.Fatalf("the snapshot of %v cannot be applied: %v", e, err)
			}
		}
	})
}

func BenchmarkAllowed(b *testing.B) {
	a := newACLs(Options{})
	for i := range 5000 {
		x := on(fmt.Sprintf("topic-%d", i))
		x.Principal = UserPrincipal(fmt.Sprint("u", i%100))
		_ = a.put(x, true)
		x.Pattern, x.Name = prefixed, fmt.Sprintf("team-%d", i)
		_ = a.put(x, true)
	}
	for b.Loop() {
		if !a.Allowed("User:u42", "10.0.0.1", read, Topic("team-4942-orders")) {
			b.Fatal("refused")
		}
	}
}
