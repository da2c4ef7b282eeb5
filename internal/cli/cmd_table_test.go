package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/cli"
	"ravenswood.dev/internal/component/aggregate"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/topology"
)

// oneTask is a topology of one task with tables, as the commands see it.
type oneTask struct {
	plan  *topology.Plan
	state *store.State
	stale *tables.Staleness
}

func (o *oneTask) Plan() *topology.Plan { return o.plan }
func (o *oneTask) Owners(int) []tables.Owner {
	return []tables.Owner{{Active: tables.Instance{ID: "here", Local: true}}}
}

func (o *oneTask) View(int, int32, bool) (tables.View, error) {
	return tables.View{Stores: o.state.Reader(), Stale: o.stale, Release: func() {}}, nil
}
func (o *oneTask) Global(string) (tables.View, error)        { return tables.View{}, tables.ErrElsewhere }
func (o *oneTask) Position(int, string, int32) (int64, bool) { return 5, true }
func (o *oneTask) Changed() <-chan struct{}                  { return nil }

// changelog is a log that tells two changes.
type changelog struct{ tables.Log }

func (changelog) Stable(context.Context, string) (map[int32]int64, error) {
	return map[int32]int64{0: 0}, nil
}

func (changelog) Follow(ctx context.Context, topic string, _ map[int32]int64, visit func(*kgo.Record) error) error {
	values := [][]byte{[]byte(`{"n":3}`), nil}
	if topic == "shop.averages.changelog" {
		values[0] = []byte(averageKept)
	}
	for i, value := range values {
		if err := visit(&kgo.Record{Topic: topic, Key: []byte("u-1"), Value: value, Offset: int64(i), Timestamp: time.UnixMilli(0)}); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// averageKept is what an aggregate bolt keeps of an average.
const averageKept = `{"price":2.5,"raven-state":{"price":[5.0,2]}}`

func serveTables(t *testing.T) (*oneTask, string) {
	t.Helper()
	specs := []store.Spec{{Name: "users"}, {Name: "hours", Kind: store.KindWindow, Window: time.Hour, Retention: time.Hour}, {Name: "counts"}, {Name: "means"}, {Name: "averages"}}
	format := map[string]record.Format{"users": record.JSON, "hours": record.JSON, "counts": record.Int64, "means": record.Float64, "averages": record.JSON}
	show := map[string]func([]byte) []byte{"averages": aggregate.Definition().Show}
	state, err := store.Open(store.Options{Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	plan := &topology.Plan{Name: "shop", Stages: []topology.Stage{{Name: "users", Stateful: true, Inputs: []int{0}}}, Inputs: []topology.Input{{Name: "users", Topic: "users"}}}
	for _, spec := range specs {
		plan.Tables = append(plan.Tables, topology.Table{Name: spec.Name, Store: spec, Format: format[spec.Name], Show: show[spec.Name]})
		plan.Stages[0].Stores = append(plan.Stages[0].Stores, topology.Store{Spec: spec, Changelog: "shop." + spec.Name + ".changelog"})
	}
	for _, key := range []string{"u-1", "u-2", "v-1"} {
		state.KeyValue("users").Put([]byte(key), store.Entry{Value: []byte(`{"name":"` + key + `"}`), Time: time.UnixMilli(0)})
	}
	state.KeyValue("counts").Put([]byte("be"), store.Entry{Value: binary.BigEndian.AppendUint64(nil, 258), Time: time.UnixMilli(0)})
	state.KeyValue("means").Put([]byte("be"), store.Entry{Value: binary.BigEndian.AppendUint64(nil, math.Float64bits(-2.5)), Time: time.UnixMilli(0)})
	state.KeyValue("means").Put([]byte("none"), store.Entry{Value: binary.BigEndian.AppendUint64(nil, math.Float64bits(math.NaN())), Time: time.UnixMilli(0)})
	state.KeyValue("averages").Put([]byte("tea"), store.Entry{Value: []byte(averageKept), Time: time.UnixMilli(0)})
	state.Windows("hours").Put([]byte("u-1"), time.UnixMilli(0), 0, store.Entry{Value: []byte("7"), Time: time.UnixMilli(0)})
	state.Seal()
	if err := state.Commit(nil); err != nil {
		t.Fatal(err)
	}
	task := &oneTask{plan: plan, state: state}
	service := tables.New(tables.Options{ID: "here", Engines: func() []tables.Engine { return []tables.Engine{task} }, Log: changelog{}})
	server := httptest.NewServer(service.Handler())
	t.Cleanup(func() {
		_ = service.Close()
		server.Close()
	})
	return task, server.Listener.Addr().String()
}

func TestTableCommands(t *testing.T) {
	task, address := serveTables(t)
	cases := []struct {
		name, args string
		exit       int
		out, err   string // parts of what is printed
	}{
		{"list", "list", 0, "shop      users     key-value  json     1", ""},
		{"list names the encoding of values", "list", 0, "shop      counts    key-value  int64    1", ""},
		{"get of whole numbers", "get shop counts be", 0, "  258\n", ""},
		{"get of whole numbers as JSON", "get shop counts be --output json", 0, `"value": 258,`, ""},
		{"range of whole numbers", "range shop counts --output json", 0, `{"key":"be","value":258,"time"`, ""},
		{"get of numbers", "get shop means be", 0, "  -2.5\n", ""},
		{"get of numbers as JSON", "get shop means be --output json", 0, `"value": -2.5,`, ""},
		{"get of what is no number", "get shop means none --output json", 0, `"valueEncoding": "base64"`, ""},
		{"range by a prefix in base64", "range shop users --prefix dg== --key-encoding base64 -o json", 0, `"key":"di0x"`, ""},
		{"watch by a prefix of a number", "watch shop counts --prefix 1 --key-encoding int64", 2, "", "read --prefix: a prefix can be written as text or base64 only, not as int64"},
		{"get of whole numbers as bytes", "get shop counts be --value-encoding base64", 0, "AAAAAAAAAQI=", ""},
		{"get without what only the bolt needs", "get shop averages tea --output json", 0, "\"value\": {\n    \"price\": 2.5\n  },", ""},
		{"range without what only the bolt needs", "range shop averages", 0, "  {\"price\":2.5}\n", ""},
		{"list of one topology", "list shop --output json", 0, `"changelog": "shop.hours.changelog"`, ""},
		{"list of none", "list shopp", 1, "", "error: ask topology \"shopp\": it does not run here\nhint: there are shop\n"},
		{"get", "get shop users u-1", 0, `{"name":"u-1"}`, ""},
		{"get as JSON", "get shop users u-1 --output json", 0, `"key": "u-1"`, ""},
		{"get by another encoding", "get shop users dS0x --key-encoding base64 -o json", 0, `"key": "dS0x"`, ""},
		{"get what is not there", "get shop users nobody", 1, "", `error: ask table "users" of topology "shop": it has no key "nobody"`},
		{"get of a window table", "get shop hours u-1", 1, "", "hint: ask for /KEY/windows"},
		{"get after a token", "get shop users u-1 --after users/0@4", 0, "u-1", ""},
		{"get too early", "get shop users u-1 --after users/0@5 --wait 1ms", 1, "", `error: wait for users/0@5: table "users" of topology "shop" does not hold it after 1ms`},
		{"get after nonsense", "get shop users u-1 --after x", 2, "", "error: read --after: read token"},
		{"get as of nonsense", "get shop users u-1 --as-of noon", 2, "", `error: read --as-of "noon"`},
		{"range", "range shop users --prefix u-", 0, "u-2", ""},
		{"range as JSON", "range shop users --from u-2 --limit 1 --output json", 0, `{"key":"u-2","value":{"name":"u-2"},"time":"1970-01-01T00:00:00Z"}` + "\n", ""},
		{"range of all pages", "range shop users --all --limit 1 --output json", 0, `"key":"v-1"`, ""},
		{"range of nothing", "range shop users --prefix x", 0, "", "no entries\n"},
		{"range with a wrong limit", "range shop users --limit 0", 2, "", "error: read --limit 0"},
		{"windows of a key", "windows shop hours u-1 --output json", 0, `"start":"1970-01-01T00:00:00Z","end":"1970-01-01T01:00:00Z"`, ""},
		{"windows of all keys", "windows shop hours", 0, "START", ""},
		{"windows of nobody", "windows shop hours u-1 --from 1h", 0, "", "no entries\n"},
		{"sessions of a window table", "sessions shop hours u-1", 1, "", "it is a window table"},
		{"a word too many", "get shop users u-1 u-2", 2, "", `argument "u-2" is one too many`},
		{"an unknown encoding", "get shop users u-1 --key-encoding hex", 2, "", "error: read --key-encoding"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			exit, out, err := run(t.Context(), append([]string{"table", "--admin", address}, strings.Fields(tc.args)...)...)
			if exit != tc.exit || !strings.Contains(out, tc.out) || !strings.Contains(err, tc.err) {
				t.Errorf("got %d\n%s%s", exit, out, err)
			}
		})
	}
	task.stale = &tables.Staleness{Records: 12, Behind: 120 * time.Millisecond}
	if exit, out, err := run(t.Context(), "table", "get", "shop", "users", "u-1", "--admin", address); exit != 0 || !strings.Contains(out, "u-1") || err != "the answer is of a standby that is behind by 12 records, 120ms\n" {
		t.Errorf("stale: got %d\n%s%s", exit, out, err)
	}
}

func TestTableNamesAreCompleted(t *testing.T) {
	_, address := serveTables(t)
	for args, want := range map[string]string{
		"list ":                                 "shop",
		"list shop ":                            "",
		"get ":                                  "shop",
		"get shop ":                             "averages counts hours means users",
		"watch shop ":                           "averages counts hours means users",
		"windows nobody ":                       "",
		"get shop users ":                       "",
		"get shop users u-1 --value-encoding ":  "text json base64 int64 float64",
		"get --tables-token-file nowhere shop ": "",
		"get --admin nowhere shop ":             "",
		"range shop users --prefix u --output ": "text json",
		"sessions shop ":                        "averages counts hours means users",
		"versions shop ":                        "averages counts hours means users",
	} {
		words := strings.Split(args, " ")
		exit, out, err := run(t.Context(), append([]string{"__complete", "--admin", address, "table"}, words...)...)
		got := strings.Fields(out)
		if exit != 0 || len(got) == 0 || strings.Join(got[:len(got)-1], " ") != want {
			t.Errorf("%q: got %d %q, want %q\n%s", args, exit, got, want, err)
		}
	}
}

func TestTableWatchPrintsChanges(t *testing.T) {
	_, address := serveTables(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopping{after: 3, stop: cancel}
	exit := cli.Run(ctx, []string{"table", "watch", "shop", "users", "u-1", "--current", "--output", "json", "--admin", address}, cli.Streams{Out: out, Err: out})
	want := `{"key":"u-1","value":{"name":"u-1"},"time":"1970-01-01T00:00:00Z","current":true}
{"key":"u-1","value":{"n":3},"time":"1970-01-01T00:00:00Z"}
{"key":"u-1","value":null,"deleted":true,"time":"1970-01-01T00:00:00Z"}
`
	if exit != 0 || out.String() != want {
		t.Errorf("got %d\n%s", exit, out.String())
	}
}

func TestTableWatchHidesWhatOnlyTheBoltNeeds(t *testing.T) {
	_, address := serveTables(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopping{after: 2, stop: cancel}
	cli.Run(ctx, []string{"table", "watch", "shop", "averages", "--current", "--output", "json", "--admin", address}, cli.Streams{Out: out, Err: out})
	if strings.Count(out.String(), `"value":{"price":2.5}`) != 2 || strings.Contains(out.String(), "raven-state") {
		t.Error(out.String())
	}
}

// stopping ends a command after so many lines.
type stopping struct {
	bytes.Buffer
	after int
	stop  func()
}

func (s *stopping) Write(p []byte) (int, error) {
	if s.after -= bytes.Count(p, []byte("\n")); s.after <= 0 {
		s.stop()
	}
	return s.Buffer.Write(p)
}

func run(ctx context.Context, args ...string) (exit int, out, err string) {
	var stdout, stderr bytes.Buffer
	exit = cli.Run(ctx, args, cli.Streams{Out: &stdout, Err: &stderr})
	return exit, stdout.String(), stderr.String()
}
