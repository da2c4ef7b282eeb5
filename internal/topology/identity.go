package topology

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
)

// Identity says what a store holds: two stores of one name and different identities hold different things, and one must
// not go on with what the other left. How long and where something is kept, how its bolt is called and what stands between
// without changing keys, is not part of it.
type Identity struct {
	Kind       string            `json:"kind"`
	Window     string            `json:"window,omitempty"` // length of the windows
	Component  string            `json:"component"`        // of the bolt that fills it
	Settings   map[string]string `json:"settings,omitempty"`
	Sources    []string          `json:"sources"`        // topics its records come from; in a join, by side
	Keys       []string          `json:"keys,omitempty"` // what gave the records other keys on the way, or made them
	Format     string            `json:"format"`         // of the values
	Changelog  string            `json:"changelog,omitempty"`
	Partitions int               `json:"partitions"`
}

// Kept is a store as it was when its topology last ran. The engine writes it to the topic of cluster state before it
// writes the first record to a changelog; KeptKey is its key there.
type Kept struct {
	Topology string   `json:"topology"`
	Store    string   `json:"store"`
	Stage    string   `json:"stage"`
	Memory   bool     `json:"memory,omitempty"`
	Source   bool     `json:"source,omitempty"`
	Identity Identity `json:"identity"`
}

// KeptPrefix begins the keys of stores in the topic of cluster state.
const KeptPrefix = "store/"

// KeptKey is the key under which a store is remembered.
func KeptKey(topology, name string) string { return KeptPrefix + topology + "/" + name }

// ParseKept reads what Kept was written as.
func ParseKept(data []byte) (Kept, error) {
	var k Kept
	if err := json.Unmarshal(data, &k); err != nil {
		return Kept{}, fmt.Errorf("read what is known of a store: %w", err)
	}
	if k.Topology == "" || k.Store == "" {
		return Kept{}, fmt.Errorf("read what is known of a store: it has no topology or no name")
	}
	return k, nil
}

// Kept says what the stores of a plan are, each by its KeptKey. Partitions gives the number of a topic's partitions; nil
// takes what the plan says.
func (p *Plan) Kept(partitions func(topic string) int) map[string]Kept {
	all := map[string]Kept{}
	for n := range p.Stages {
		st := &p.Stages[n]
		tasks := st.Partitions
		if partitions != nil && len(st.Stores) > 0 {
			_, tasks = decides(p.members(n), partitions)
		}
		for _, s := range st.Stores {
			all[KeptKey(p.Name, s.Name)] = Kept{Topology: p.Name, Store: s.Name, Stage: st.Name, Memory: s.Memory, Source: s.Source, Identity: s.Identity(p, tasks)}
		}
	}
	return all
}

// Identity says what the store holds if its stage has that many tasks.
func (s Store) Identity(p *Plan, tasks int) Identity {
	id := Identity{Kind: s.Kind.String(), Changelog: s.Changelog, Partitions: tasks}
	if s.Kind == store.KindWindow && s.Window > 0 {
		id.Window = s.Window.String()
	}
	if b := slices.IndexFunc(p.Bolts, func(b Bolt) bool { return b.Name == s.Bolt }); b >= 0 {
		p.origins[b].describe(&id)
	}
	return id
}

// origin is what the planner knows of where a bolt's records come from.
type origin struct {
	component string
	settings  map[string]string
	sources   []string
	keys      []string
	format    string
	rows      []string // stores whose changes come in: rows that were there before the bolt never do
}

func (o origin) describe(id *Identity) {
	id.Component, id.Settings, id.Sources, id.Keys, id.Format = o.component, o.settings, o.sources, o.keys, o.format
}

// originOf follows a bolt's records back to their topics.
func originOf(p *Plan, b *node) origin {
	o := origin{component: kindOf(b.def), settings: settingsOf(b.Config, false), format: flowing(b).String()}
	sources, keys := map[string]bool{}, map[string]bool{}
	for i, s := range b.from {
		side := ""
		if len(b.shape.Inputs) > 1 {
			side = b.shape.Inputs[i] + " "
		}
		s.node.backwards(p, map[*node]bool{}, func(topic string) { sources[side+topic] = true }, func(key string) { keys[side+key] = true })
	}
	o.sources, o.keys = slices.Sorted(maps.Keys(sources)), slices.Sorted(maps.Keys(keys))
	o.rows = b.rows()
	return o
}

// backwards visits the topics a node's records come from, and the bolts on the way that give them other keys or make
// new ones of what they keep.
func (n *node) backwards(p *Plan, seen map[*node]bool, source, key func(string)) {
	if seen[n] {
		return
	}
	seen[n] = true
	if n.kind == component.KindSpout {
		source(n.comesFrom(p))
		return
	}
	switch {
	case n.makes():
		key(n.name + " " + signature(n))
	case n.shape.Rekeys:
		key(signature(n))
	}
	for _, s := range n.from {
		s.node.backwards(p, seen, source, key)
	}
}

// rows lists the stores whose changes reach a bolt: of the nearest bolts before that keep one row for each key. It does
// not list those which the bolt looks into itself.
func (n *node) rows() []string {
	stores, seen := map[string]bool{}, map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		for _, s := range n.from {
			switch i := s.node.asked(); {
			case seen[s.node]:
			case i >= 0 && s.port == 0 && hasRows(s.node.shape.Stores[i].Kind):
				stores[s.node.shape.Stores[i].Name] = true
			default:
				seen[s.node] = true
				walk(s.node)
			}
		}
	}
	walk(n)
	for _, read := range n.shape.Reads {
		delete(stores, read)
	}
	return slices.Sorted(maps.Keys(stores))
}

func hasRows(k store.Kind) bool { return k == store.KindKeyValue || k == store.KindVersioned }

// makes says whether a bolt gives out what it makes of what it keeps: one of another name begins anew, and what follows
// would get everything a second time.
func (n *node) makes() bool { return !n.shape.Table && len(n.shape.Stores) > 0 }

// comesFrom is the topic of a spout, and what its records hold if that is not JSON.
func (n *node) comesFrom(p *Plan) string {
	from := p.Name + "." + n.name + ".feed"
	if config, ok := n.Config.(*topic.SpoutConfig); ok {
		from = config.Name
	}
	if format := formatOf(n); format != record.JSON {
		from += " (" + format.String() + ")"
	}
	return from
}

// signature is a bolt's component and settings in one line. It is made once: many bolts may follow.
func signature(n *node) string {
	if n.signed != "" {
		return n.signed
	}
	settings := settingsOf(n.Config, true)
	var parts []string
	for _, path := range sortedKeys(settings) {
		parts = append(parts, path+": "+settings[path])
	}
	n.signed = kindOf(n.def) + "{" + strings.Join(parts, ", ") + "}"
	return n.signed
}

// kindOf is the name of a component. One written in Go is called after its operator and, behind a colon, its bolt: the
// second says nothing of what it does.
func kindOf(d component.Definition) string {
	kind, _, _ := strings.Cut(d.Spec.Name, ":")
	return kind
}

// inSpec are settings that stand in the store's spec and do not change what it holds.
var inSpec = []string{"store", "retention", "history"}

// settingsOf lists the settings of a component that matter for what it keeps, by their paths, as text; with results also
// those that matter for what it gives out only, and so for what those keep that follow. Settings that have their default
// are left out, so that a component may get new ones.
func settingsOf(config any, results bool) map[string]string {
	f := flattener{into: map[string]string{}, results: results}
	if config == nil {
		return f.into
	}
	f.add(reflect.ValueOf(config), "", 0)
	all, defaults := f.into, f.defaults(config)
	maps.DeleteFunc(all, func(path, value string) bool {
		return slices.Contains(inSpec, path) || defaults[path] == value
	})
	return all
}

func (f flattener) defaults(config any) map[string]string {
	f.into = map[string]string{}
	if t := reflect.TypeOf(config); t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		fresh := reflect.New(t.Elem())
		manifest.Defaults(fresh.Interface())
		f.add(fresh, "", 0)
	}
	return f.into
}

const (
	settingsDepth = 16  // deeper settings are not written by people
	settingText   = 200 // longer ones are only compared
)

// The values of the tag state, for settings that do not matter for what a component keeps.
const (
	stateFree    = "free"    // nor for what those keep that follow
	stateResults = "results" // but for what it gives out
)

// flattener writes settings down by their paths.
type flattener struct {
	into    map[string]string
	results bool // also those that matter for what is given out only
}

func (f flattener) leavesOut(field reflect.StructField) bool {
	state := field.Tag.Get("state")
	return state == stateFree || state == stateResults && !f.results
}

// add adds a value and what is in it. What holds nothing is left out.
func (f flattener) add(v reflect.Value, path string, depth int) {
	if !v.IsValid() || v.IsZero() || depth > settingsDepth {
		return
	}
	if text, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok && v.Kind() != reflect.Pointer {
		if b, err := text.MarshalText(); err == nil {
			f.into[path] = shorten(string(b))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		f.add(v.Elem(), path, depth+1)
	case reflect.Struct:
		f.fields(v, path, depth)
	case reflect.Map:
		for _, k := range v.MapKeys() {
			f.add(v.MapIndex(k), within(path, fmt.Sprint(k)), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			f.add(v.Index(i), path+"["+strconv.Itoa(i)+"]", depth+1)
		}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer: // Go code cannot be compared
	default:
		f.into[path] = shorten(fmt.Sprint(v))
	}
}

// fields adds the fields of settings that matter.
func (f flattener) fields(v reflect.Value, path string, depth int) {
	for _, field := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() || field.Anonymous || name == "-" || f.leavesOut(field) {
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		inner := flattener{into: map[string]string{}, results: f.results}
		inner.add(v.FieldByIndex(field.Index), within(path, name), depth+1)
		if field.Tag.Get("secret") == "true" {
			for key, value := range inner.into {
				inner.into[key] = hashed(value)
			}
		}
		maps.Copy(f.into, inner.into)
	}
}

func within(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func shorten(s string) string {
	if len(s) <= settingText {
		return s
	}
	return hashed(s)
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// Differences says in words what is different in a later identity, nothing if nothing is.
func (id Identity) Differences(later Identity) []string {
	var all []string
	say := func(what, was, is string) {
		switch {
		case was == is:
		case was == "":
			all = append(all, what+" is "+is+" now")
		case is == "":
			all = append(all, what+" was "+was)
		default:
			all = append(all, what+" was "+was+", is "+is)
		}
	}
	say("kind", id.Kind, later.Kind)
	say("window", id.Window, later.Window)
	say("component", id.Component, later.Component)
	settings := maps.Clone(id.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, later.Settings)
	for _, path := range sortedKeys(settings) {
		say(path, id.Settings[path], later.Settings[path])
	}
	say("source", listed(id.Sources, later.Sources), listed(later.Sources, id.Sources))
	say("key", listed(id.Keys, later.Keys), listed(later.Keys, id.Keys))
	number := later.Format == record.Int64.String() || later.Format == record.Float64.String()
	if id.Format != record.Raw.String() || !number { // that some bytes are numbers was not always known
		say("format", id.Format, later.Format)
	}
	say("changelog", id.Changelog, later.Changelog)
	say("partitions", strconv.Itoa(id.Partitions), strconv.Itoa(later.Partitions))
	return all
}

// listed writes what is only in the first of two lists.
func listed(these, those []string) string {
	only := slices.DeleteFunc(slices.Clone(these), func(s string) bool { return slices.Contains(those, s) })
	return strings.Join(only, ", ")
}

// restoreRate is how many records of a changelog a process reads into its stores in a second, on the careful side.
const restoreRate = 100_000

// restoreTime is about how long one process needs for a changelog of so many records.
func restoreTime(records int64) time.Duration {
	return max(time.Second, (time.Duration(records) * time.Second / restoreRate).Round(time.Second))
}
