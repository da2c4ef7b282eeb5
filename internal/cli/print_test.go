package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/node"
)

func TestRecordPage(t *testing.T) {
	at := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	header := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
	cases := []struct {
		name      string
		record    kgo.Record
		want, not []string
	}{
		{
			"an enriched message",
			kgo.Record{
				Key: []byte("u7"), Value: []byte(`{"messageId":"m-1","value":1.50,"user":{"name":"Ada","address":{"city":"Oslo"}},"tags":["a",2]}`),
				Headers: []kgo.RecordHeader{header("raven-answered-users", "users/v1"), header("raven-answered-second", "svc2/v2"), header("raven-degraded-score", "svc3")},
			},
			[]string{
				"out/3@42  2026-03-14 09:26:53.000", "message     key u7  messageId m-1  value 1.50", "enrichments user  name Ada",
				"user.address  city Oslo", `tags  "a"  2`, "services    users v1, svc2 v2 (second), svc3 fallback (score)",
				"cluster     kafka:9092, partition 3, offset 42", `raw         {"messageId":"m-1","value":1.50`,
			}, nil,
		},
		{"a tombstone without a key", kgo.Record{}, []string{"raw         (tombstone: no value)"}, []string{"key ", "enrichments", "services"}},
		{"text", kgo.Record{Value: []byte("hello {")}, []string{"raw         hello {"}, []string{"message", "enrichments"}},
		{
			"bytes that would move the cursor", kgo.Record{Key: []byte("a\x1b[2Jb"), Value: []byte("{\"x\":\"\\u001b[2J\"}\x9b\xff")},
			[]string{"key a·[2Jb"}, []string{"\x1b", "\x9b"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.record.Topic, c.record.Partition, c.record.Offset, c.record.Timestamp = "out", 3, 42, at
			page := recordPage(paint{}, "kafka:9092", &c.record)
			for _, want := range c.want {
				if !strings.Contains(page, want) {
					t.Errorf("%q is not in\n%s", want, page)
				}
			}
			for _, not := range c.not {
				if strings.Contains(page, not) {
					t.Errorf("%q is in\n%s", not, page)
				}
			}
		})
	}
}

func TestRecordLineKeepsWhatIsJSONAndShowsTheRestAsText(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"json": {`{"a":1.50}`, `"value":{"a":1.50}`}, "text": {`a<b`, `"value":"a<b"`}, "tombstone": {"", `"value":null`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &kgo.Record{}
			if c.value != "" {
				r.Value = []byte(c.value)
			}
			var out strings.Builder
			if err := printJSONLine(&out, recordLine(r)); err != nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("got %s (%v), want %s in it", &out, err, c.want)
			}
		})
	}
}

func TestPaintKeepsEscapesAwayFromFiles(t *testing.T) {
	if p := paintFor(&strings.Builder{}); p.on || p.red("x") != "x" {
		t.Error("a stream that is no terminal was coloured")
	}
	if got := (paint{on: true}).red("x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestNumbersForPeople(t *testing.T) {
	cases := []struct{ name, got, want string }{
		{"small", count(999), "999"}, {"four digits", count(1234), "1234"}, {"five digits", count(12345), "12 345"},
		{"millions", count(1234567), "1 234 567"}, {"negative", count(-12345), "-12 345"},
		{"one", plural(1, "event", "events"), "1 event"}, {"many", plural(12345, "event", "events"), "12 345 events"},
		{"milliseconds", brief(1234567 * time.Nanosecond), "1ms"}, {"seconds", brief(12345 * time.Millisecond), "12.3s"}, {"minutes", brief(61500 * time.Millisecond), "1m2s"},
		{"clipped", clip("abcdef", 4), "abc…"}, {"not clipped", clip("abcd", 4), "abcd"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		})
	}
}

func TestRouteText(t *testing.T) {
	gold, yes := "gold", true
	changed := time.Now()
	v := admin.RouteView{Service: "svc", Versions: []string{"v1", "v2"}, Source: admin.SourceRunTime, Generation: 3, Changed: &changed, Route: api.RouteSpec{
		Rules: []api.Rule{
			{Name: "gold", Version: "v2", Match: []api.Match{{Field: "segment", Equals: &gold}, {Header: "x-beta", Exists: &yes, Not: true}}},
			{Version: "v1", Match: []api.Match{{Field: "id", Prefix: "test-"}, {Field: "kind", In: []string{"a", "b"}}}},
		},
		Split: &api.Split{Versions: []api.Share{{Version: "v2", Percent: 1250}}}, Default: "v1", Mirror: &api.Mirror{Version: "v2", Percent: 500},
	}}
	text := routeText(v)
	for _, want := range []string{
		"svc: versions v1, v2; changed at run time (3 changes, at ",
		"\n  1. if segment is gold and header x-beta is not there: v2 (rule gold)",
		"\n  2. if id is something that begins with test- and kind is one of a, b: v1 (rule 2)",
		"\n  3. by the record's key: 12.5% of keys to v2", "\n  4. else v1", "\n  and 5% of keys are mirrored to v2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestSummaryAddsUpAuditsAndTakesTheFirstResult(t *testing.T) {
	early, late := int64(200), int64(900)
	s := summarize([]node.Audit{
		{Sent: 10, Lost: 1, FirstMS: &late, Sinks: []node.SinkAudit{{Kind: "topic", Events: 9}, {Kind: "topic", Events: 10}, {Kind: "sql", Events: 8}}},
		{Sent: 5, Duplicated: 2, Dead: 1, FirstMS: &early, Sinks: []node.SinkAudit{{Kind: "file", Events: 5}}},
		{},
	}, admin.Status{}, time.Second)
	if s.Sent != 15 || s.Enriched != 10 || s.Stored != 13 || s.Lost != 1 || s.Duplicated != 2 || s.Dead != 1 || *s.FirstEnrichedMS != 200 {
		t.Errorf("got %+v", s)
	}
}
