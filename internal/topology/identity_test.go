package topology_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ravenswood.dev/internal/topology"
)

// shop is a topology with every kind of store; what a case changes is replaced in it.
const shop = `  spouts:
    orders: {topic: {name: orders}}
    paid: {topic: {name: paid}}
  tables:
    users: {topic: {name: users}}
    past: {topic: {name: users}, history: 7d}
  bolts:
    parse: {from: orders, pass: }
    by-user: {from: parse, rekey: {expression: event.user}}
    look: {from: by-user, keep: {reads: [users, past]}}
    by-city: {from: look, rekey: {expression: event.city}}
    totals: {from: by-city, count: {expression: event.total, stores: ['window:hours']}}
    tell: {from: totals, wait: }
    both: {from: [orders, paid], keep: {inputs: [left, right], stores: ['window:left', 'window:right']}}
  sinks:
    out: {from: [tell, both], topic: {name: results}}
`

func TestPlanBetweenTwoVersions(t *testing.T) {
	cases := []struct {
		name    string
		old     []string // pairs to replace in the version that runs
		replace []string // pairs to replace in the version to come
		records map[string]int64
	}{
		{"the first", nil, nil, nil},
		{"nothing", nil, []string{}, nil},
		{"a bolt that keeps nothing", nil, []string{"parse: {from: orders, pass: }", "check: {from: orders, pass: }", "from: parse", "from: check"}, nil},
		{"a bolt behind a table that is kept", nil, []string{"    both:", "    by-name: {from: users, rekey: {expression: event.name}}\n    names: {from: by-name, count: {}}\n    both:"}, nil},
		{"another key", nil, []string{"event.city", "event.country"}, nil},
		{"another sum", nil, []string{"event.total", "event.price"}, nil},
		{"another name", nil, []string{"totals", "sums"}, map[string]int64{"users": 12_345_678}},
		{"an earlier name in the stage", nil, []string{"    both:", "    at-all: {from: orders, count: {}}\n    both:"}, map[string]int64{"t.both-left.changelog": 500_000}},
		{"another topic of a table", nil, []string{"users: {topic: {name: users}", "users: {topic: {name: people}"}, map[string]int64{"people": 2_000_000}},
		{"in memory", nil, []string{"users: {topic: {name: users}}", "users: {topic: {name: users}, store: memory}"}, map[string]int64{"users": 100}},
		{"another component", nil, []string{"totals: {from: by-city, count: {", "totals: {from: by-city, keep: {"}, nil},
		{"sides exchanged", nil, []string{"[orders, paid]", "[paid, orders]"}, nil},
		{"fewer tables", nil, []string{"    past: {topic: {name: users}, history: 7d}\n", "", "[users, past]", "[users]"}, nil},
		{"how long it is kept", []string{"past: {topic: {name: users}, history: 7d}", "past: {topic: {name: users}, history: 9d}"}, []string{}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			observed := topology.Observed{}
			if c.replace != nil {
				set, plans := mustBuild(t, graph("t", strings.NewReplacer(c.old...).Replace(shop)))
				observed = topology.AsIfRun(plans, set)
				for name, records := range c.records {
					have := observed.Topics[name]
					observed.Topics[name] = topology.ObservedTopic{Partitions: max(have.Partitions, 8), Config: have.Config, Records: records}
				}
			}
			set, plans := mustBuild(t, graph("t", strings.NewReplacer(c.replace...).Replace(shop)))
			changes := topology.Diff(plans, set, observed)
			checkText(t, "between-"+strings.ReplaceAll(c.name, " ", "-")+".txt", onlyState(changes))
			err := topology.CheckStores(plans[0], observed.Stores, nil)
			if foreign, refused := errors.AsType[*topology.ForeignError](err); refused != (len(changes.Foreign()) > 0) || refused && (foreign.Hint == "" || foreign.Message == "") {
				t.Errorf("plan and start disagree: %v, %v", err, changes.Foreign())
			}
		})
	}
}

// onlyState leaves out what every plan has.
func onlyState(c topology.Changes) topology.Changes {
	c.Groups = []topology.GroupChange{}
	c.Topics = slices.DeleteFunc(slices.Clone(c.Topics), func(t topology.TopicChange) bool {
		return t.Action == topology.ActionUnchanged || t.Action == topology.ActionUse
	})
	return c
}

// TestAnIdentityIsWhatAStoreHolds: what changes it would make the old content wrong, and nothing else changes it.
func TestAnIdentityIsWhatAStoreHolds(t *testing.T) {
	identity := func(text, name string) topology.Identity {
		_, plans := mustBuild(t, text)
		return plans[0].Kept(nil)[topology.KeptKey("t", name)].Identity
	}
	base := identity(graph("t", shop), "totals")
	if base.Component != "count" || base.Settings["expression"] != "event.total" || !slices.Equal(base.Sources, []string{"orders"}) || base.Partitions != 8 || base.Changelog != "t.totals.changelog" {
		t.Fatalf("%+v", base)
	}
	if want := []string{"rekey{expression: event.city}", "rekey{expression: event.user}"}; !slices.Equal(base.Keys, want) {
		t.Errorf("keys %v, want %v", base.Keys, want)
	}
	for _, c := range []struct{ from, to, want string }{
		{"parse: {from: orders, pass: }", "parse: {from: orders, shaped: {expression: other}}", ""},
		{"tell: {from: totals, wait: }", "tell: {from: totals, pass: }", ""},
		{"event.city", "event.country", "key was rekey{expression: event.city}, is rekey{expression: event.country}"},
		{"event.total", "event.price", "expression was event.total, is event.price"},
		{"orders: {topic: {name: orders}}", "orders: {topic: {name: others}}", "source was orders, is others"},
		{"orders: {topic: {name: orders}}", "orders: {topic: {name: orders, format: text}}", "source was orders, is orders (text)"},
		{"look: {from: by-user", "first: {from: by-user, count: {}}\n    look: {from: first", "key is first count{} now"},
		{"history: 7d", "history: 8d, store: memory, retention: 3d", ""},
	} {
		changed := graph("t", strings.Replace(shop, c.from, c.to, 1))
		if got := strings.Join(base.Differences(identity(changed, "totals")), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.to, got, c.want)
		}
	}
	if a, b := identity(graph("t", shop), "totals-hours"), base; a.Window != "1h0m0s" || a.Kind != "window" || len(a.Differences(b)) == 0 {
		t.Errorf("%+v", a)
	}
}

// TestBytesThatAreKnownToBeNumbersNowAreTheSame: formats once said less of what programs in Go write.
func TestBytesThatAreKnownToBeNumbersNowAreTheSame(t *testing.T) {
	for _, c := range []struct{ was, is, want string }{
		{"raw", "int64", ""},
		{"int64", "int64", ""},
		{"raw", "float64", ""},
		{"int64", "raw", "format was int64, is raw"},
		{"int64", "float64", "format was int64, is float64"},
		{"json", "int64", "format was json, is int64"},
		{"raw", "json", "format was raw, is json"},
	} {
		if got := strings.Join((topology.Identity{Format: c.was}).Differences(topology.Identity{Format: c.is}), "; "); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.was, c.is, got, c.want)
		}
	}
}

func TestWhatIsKnownOfAStoreIsRead(t *testing.T) {
	_, plans := mustBuild(t, graph("t", shop))
	for key, want := range plans[0].Kept(nil) {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		have, err := topology.ParseKept(text)
		if err != nil || fmt.Sprint(have) != fmt.Sprint(want) || topology.KeptKey(have.Topology, have.Store) != key {
			t.Errorf("%+v, %v, want %+v", have, err, want)
		}
		if d := have.Identity.Differences(want.Identity); len(d) > 0 {
			t.Errorf("differs from itself: %v", d)
		}
	}
	for _, bad := range []string{"", "{}", "[]", `{"topology": 1}`, `{"topology": "t"}`} {
		if k, err := topology.ParseKept([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, k)
		}
	}
}

func FuzzParseKept(f *testing.F) {
	f.Add([]byte(`{"topology":"t","store":"s","stage":"s","identity":{"kind":"key-value","component":"count","sources":["a"],"format":"json","partitions":8}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := topology.ParseKept(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := topology.ParseKept(text); err != nil || len(k.Identity.Differences(again.Identity)) > 0 {
			t.Errorf("%s is read as %+v, %v", text, again, err)
		}
		_ = k.Identity.Differences(topology.Identity{})
	})
}

// settingsToCompare has what settings of components have.
type settingsToCompare struct {
	Text   string            `yaml:"text"`
	Mode   string            `yaml:"mode" default:"fast"`
	Free   string            `yaml:"free" state:"free"`
	Out    string            `yaml:"out" state:"results"`
	Secret string            `yaml:"secret" secret:"true"`
	Store  string            `yaml:"store"`
	List   []string          `yaml:"list"`
	Map    map[string]*int   `yaml:"map"`
	Inner  *settingsToInner  `yaml:"inner"`
	Code   func()            `yaml:"-"`
	Long   string            `yaml:"long"`
	Values map[string]string `yaml:"values"`
}

type settingsToInner struct {
	On bool `yaml:"on"`
}

func TestSettingsThatMatter(t *testing.T) {
	seven := 7
	got := topology.SettingsThatMatter(&settingsToCompare{Text: "a", Mode: "fast", Free: "x", Out: "y", Secret: "hidden", Store: "memory", List: []string{"a", "b"},
		Map: map[string]*int{"k": &seven}, Inner: &settingsToInner{true}, Code: func() {}, Long: strings.Repeat("x", 1000)}, false)
	want := map[string]string{"text": "a", "list[0]": "a", "list[1]": "b", "map.k": "7", "inner.on": "true", "secret": got["secret"], "long": got["long"]}
	if !reflect.DeepEqual(got, want) || !strings.HasPrefix(got["secret"], "sha256:") || !strings.HasPrefix(got["long"], "sha256:") {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if other := topology.SettingsThatMatter(&settingsToCompare{Mode: "slow"}, false); other["mode"] != "slow" || len(other) != 1 {
		t.Errorf("%v", other)
	}
	if given := topology.SettingsThatMatter(&settingsToCompare{Free: "x", Out: "y"}, true); given["out"] != "y" || len(given) != 1 {
		t.Errorf("%v", given)
	}
}
