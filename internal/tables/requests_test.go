package tables_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

func TestKeysAndValuesAreWrittenAsAsked(t *testing.T) {
	c := newCluster(t, 2, 4)
	states := c.spread(t)
	number := "\x00\x00\x00\x00\x00\x00\x00\x07"
	c.fill(t, states, map[string]string{
		"a/b": `{"x": 1}`, ".": `"dot"`, "": `"empty"`, "\xff\x00": `not json`, `{"id":1}`: number, number: "text",
	})
	cases := []struct {
		name, path  string
		key, value  any
		keyEncoding any // if it had to be another one
		valueIn     any
	}{
		{"text with a slash", "a%2Fb", "a/b", map[string]any{"x": 1.0}, nil, nil},
		{"a dot", "%2E", ".", "dot", nil, nil},
		{"base64", "Lg?keyEncoding=base64", "Lg", "dot", nil, nil},
		{"base64 of the empty key", "=?keyEncoding=base64", "=", "empty", nil, nil},
		{"base64 of either alphabet", "%2FwA=?keyEncoding=base64", "_wA", base64.StdEncoding.EncodeToString([]byte("not json")), nil, "base64"},
		{"json, written with spaces", url.PathEscape(`{ "id": 1 }`) + "?keyEncoding=json&valueEncoding=int64", map[string]any{"id": 1.0}, 7.0, nil, nil},
		{"a number", "7?keyEncoding=int64&valueEncoding=text", 7.0, "text", nil, nil},
		{"a value as base64", "%2E?valueEncoding=base64", ".", base64.StdEncoding.EncodeToString([]byte(`"dot"`)), nil, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			status, got := get(t, c.processes[0], "/v1/topologies/shop/tables/users/"+tc.path)
			if status != 200 || !equal(got["key"], tc.key) || !equal(got["value"], tc.value) || got["keyEncoding"] != tc.keyEncoding || got["valueEncoding"] != tc.valueIn {
				t.Errorf("got %d %v", status, got)
			}
		})
	}
	_, page := get(t, c.processes[1], "/v1/topologies/shop/tables/users?from=%7B&limit=5")
	entries := page["entries"].([]any)
	if last := entries[len(entries)-1].(map[string]any); last["keyEncoding"] != "base64" || last["key"] != "_wA" {
		t.Errorf("got %v", last)
	}
}

// equal compares what encoding/json makes of small values.
func equal(a, b any) bool {
	m, ok := b.(map[string]any)
	if !ok {
		return a == b
	}
	n, ok := a.(map[string]any)
	for k := range m {
		ok = ok && n[k] == m[k]
	}
	return ok
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	c := newCluster(t, 1, 2)
	c.spread(t)
	const users = "/v1/topologies/shop/tables/users"
	cases := []struct {
		name, path string
		status     int
		says, hint string
	}{
		{"no such topology", "/v1/topologies/shopp/tables/users/k", 404, `topology "shopp": it does not run here`, "there are shop"},
		{"no such table", "/v1/topologies/shop/tables/user/k", 404, `table "user"`, "countries, hours, prices, users, visits"},
		{"a misspelt parameter", users + "?form=a", 400, `"form"`, "from"},
		{"a parameter twice", users + "?from=a&from=b", 400, "2 times", ""},
		{"an unknown encoding", users + "/k?keyEncoding=hex", 400, "hex", ""},
		{"no base64", users + "/%25%25?keyEncoding=base64", 400, "not base64", ""},
		{"no number", users + "/seven?keyEncoding=int64", 400, "whole number", ""},
		{"no JSON", users + "/%7Ba?keyEncoding=json", 400, "not a JSON document", ""},
		{"no UTF-8", users + "/%ff", 400, "not UTF-8", ""},
		{"a prefix of JSON", users + "?keyEncoding=json&prefix=1", 400, "prefix", ""},
		{"a bound that cannot be read", users + "?from=%zz", 400, "invalid URL escape", ""},
		{"a bound with a semicolon", users + "?from=a;b", 400, "semicolon", ""},
		{"an empty key", users + "/", 404, "no such question", "%2F"},
		{"what is behind a key", users + "/k/rows", 404, "no such question", "%2F"},
		{"a limit of zero", users + "?limit=0", 400, "1 to 10000", ""},
		{"a huge limit", users + "?limit=10001", 400, "1 to 10000", ""},
		{"a long wait", users + "/k?wait=31s", 400, "0s to 30s", ""},
		{"a wait that is none", users + "/k?wait=soon", 400, "0s to 30s", ""},
		{"a foreign cursor", users + "?cursor=!", 400, "cursor", ""},
		{"a cursor that holds something else", users + "?cursor=W10", 400, "cursor", ""},
		{"no token", users + "/k?after=users", 400, "read token", ""},
		{"fresh what", users + "/k?fresh=yes", 400, "require", ""},
		{"windows of a table without", users + "/k/windows", 400, "it is a key-value table", "ask for /KEY"},
		{"a key of a window table", "/v1/topologies/shop/tables/hours/k", 400, "it is a window table", "/KEY/windows"},
		{"a time that is none", "/v1/topologies/shop/tables/hours/k/windows?from=noon", 400, "milliseconds since 1970", ""},
		{"a time no table has", users + "/k?asOf=1", 400, "it is a key-value table", ""},
		{"a watch of what", users + "?watch=yes", 400, "true or false", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			status, said := get(t, c.processes[0], tc.path)
			message, _ := said["error"].(string)
			hint, _ := said["hint"].(string)
			if status != tc.status || !strings.Contains(message, tc.says) || !strings.Contains(hint, tc.hint) || said["code"] == "" {
				t.Errorf("got %d %v", status, said)
			}
		})
	}
}

// TestTheLongestKeysHaveANextPage goes through keys that can just be asked for, an entry a page.
func TestTheLongestKeysHaveANextPage(t *testing.T) {
	c := newCluster(t, 1, 1)
	s := c.own(t, c.processes[0], 0)
	want := map[string]bool{}
	commit(t, s, func(s *store.State) {
		for _, b := range []byte{0, 'k', 0xff} {
			key := bytes.Repeat([]byte{b}, 32<<10)
			s.KeyValue("users").Put(key, store.Entry{Value: []byte("1"), Time: at(1)})
			want[string(key)] = true
		}
	})
	for e, err := range c.processes[0].client.Table("shop", "users").All(t.Context(), client.Range{Limit: 1}) {
		if err != nil || !want[string(e.Key)] {
			t.Fatalf("got a key of %d bytes, %v", len(e.Key), err)
		}
		delete(want, string(e.Key))
	}
	if len(want) > 0 {
		t.Errorf("%d keys were left out", len(want))
	}
}

func TestWhatOnlyProcessesAsk(t *testing.T) {
	c := newCluster(t, 1, 1)
	put(t, c.own(t, c.processes[0], 0), `1`)
	ask := func(path, body string, header ...string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.processes[0].address()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for _, h := range slices.DeleteFunc(header, func(h string) bool { return h == "" }) {
			name, value, _ := strings.Cut(h, "=")
			r.Header.Set(name, value)
		}
		return do(t, r)
	}
	const parts = "/v1/topologies/shop/tables/users/parts"
	const good = `{"query":{"form":"get","key":"aw==","limit":1,"wait":0},"partitions":[0]}`
	cases := []struct {
		name, body, header string
		status             int
	}{
		{"a question of another process", good, "Raven-Asked-By=p1", 200},
		{"nobody's question", good, "", 403},
		{"no JSON", `x`, "Raven-Asked-By=p1", 400},
		{"with a charset", good, "Raven-Asked-By=p1,Content-Type=application/json; charset=utf-8", 200},
		{"two bodies", good + good, "Raven-Asked-By=p1", 400},
		{"something behind the body", good + " x", "Raven-Asked-By=p1", 400},
		{"a form", good, "Content-Type=text/plain", 403},
		{"a form of another process", good, "Raven-Asked-By=p1,Content-Type=text/plain", 415},
		{"a type that is none", good, "Raven-Asked-By=p1,Content-Type=;", 415},
		{"no key", `{"query":{"form":"get","limit":1},"partitions":[0]}`, "Raven-Asked-By=p1", 400},
		{"an unknown form", `{"query":{"form":"all","limit":1},"partitions":[0]}`, "Raven-Asked-By=p1", 400},
		{"too much", `{"query":{"form":"range","limit":1000000},"partitions":[0]}`, "Raven-Asked-By=p1", 400},
		{"a negative partition", `{"query":{"form":"range","limit":1},"partitions":[-1]}`, "Raven-Asked-By=p1", 400},
		{"a partition there is not", `{"query":{"form":"range","limit":1},"partitions":[77]}`, "Raven-Asked-By=p1", 200},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if status, said := ask(parts, tc.body, strings.Split(tc.header, ",")...); status != tc.status {
				t.Errorf("got %d %v", status, said)
			}
		})
	}
}

func TestATokenKeepsStrangersOut(t *testing.T) {
	c := newCluster(t, 1, 1)
	p := c.processes[0]
	put(t, c.own(t, p, 0), `1`)
	server := httptest.NewServer(p.service.Questions(tokens("secret")))
	defer server.Close()
	for token, want := range map[string]client.Code{"": client.Forbidden, "wrong": client.Forbidden, "secret": ""} {
		asking := client.NewClient(client.Options{Token: token}, server.Listener.Addr().String())
		if _, err := asking.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{}); code(err) != want {
			t.Errorf("with token %q: got %v", token, err)
		}
	}
}

func TestRecordsAreWrittenAndNamedByAToken(t *testing.T) {
	c := newCluster(t, 1, 4)
	p := c.processes[0]
	c.log.create("orders", 4)
	c.log.create("shop.users.changelog", 4)
	three := int32(3)
	token, err := p.client.Produce(t.Context(), "orders", client.Record{Key: []byte("k"), Value: []byte("\xff"), Headers: map[string]string{"b": "2", "a": "1"}, Time: at(3)},
		client.Record{Key: []byte("k"), Partition: &three}, client.Record{Key: []byte("k"), Partition: &three, Value: []byte{}})
	if err != nil {
		t.Fatal(err)
	}
	first := client.Coordinate{Topic: "orders", Partition: c.ownerOf("k")}
	if want := client.NewToken(first, client.Coordinate{Topic: "orders", Partition: 3, Offset: 1}); token.String() != want.String() {
		t.Errorf("got %s, want %s", token, want)
	}
	var seen []string
	for tp, records := range c.log.records {
		for _, r := range records {
			word := tp.Topic + " " + string(r.Key) + " " + string(r.Value)
			if r.Value == nil {
				word += "nothing"
			}
			for _, h := range r.Headers {
				word += " " + h.Key + "=" + string(h.Value)
			}
			seen = append(seen, word)
		}
	}
	if all := strings.Join(seen, "\n"); len(seen) != 3 || !strings.Contains(all, "orders k \xff a=1 b=2") || !strings.Contains(all, "orders k nothing") {
		t.Errorf("got %q", seen)
	}
	cases := []struct {
		name, topic string
		records     []client.Record
		want        client.Code
	}{
		{"a changelog", "shop.users.changelog", []client.Record{{}}, client.Forbidden},
		{"a topic of the cluster", "__consumer_offsets", []client.Record{{}}, client.Forbidden},
		{"a topic there is not", "order", []client.Record{{}}, client.NoTopic},
		{"nothing", "orders", nil, client.BadRequest},
		{"too many", "orders", make([]client.Record, 1001), client.BadRequest},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := p.client.Produce(t.Context(), tc.topic, tc.records...); code(err) != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTablesAreListed(t *testing.T) {
	c := newCluster(t, 2, 3)
	c.spread(t)
	c.standby(t, c.processes[1], 0)
	for _, topology := range []string{"", "shop"} {
		list, err := c.processes[0].client.Tables(t.Context(), topology)
		if err != nil || len(list) != 5 {
			t.Fatalf("got %+v, %v", list, err)
		}
		if g := list[0]; g.Name != "countries" || !g.Global || g.Changelog != "countries" || g.Values != client.Text {
			t.Errorf("got %+v", g)
		}
		h := list[1]
		if h.Kind != "window" || h.Window != "1h0m0s" || h.Changelog != "shop.hours.changelog" || len(h.Partitions) != 3 || h.Partitions[1].Active != "p1" || h.Partitions[0].Standbys[0] != "p1" {
			t.Errorf("got %+v", h)
		}
	}
}

// TestAStoreThatFailsIsNotAnEmptyOne closes a store under the question.
func TestAStoreThatFailsIsNotAnEmptyOne(t *testing.T) {
	c := newCluster(t, 1, 1)
	s := c.own(t, c.processes[0], 0)
	put(t, s, `1`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := c.processes[0].client.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{Fresh: true, Wait: time.Millisecond})
	if c := code(err); c != client.Failed && c != client.NotReady {
		t.Errorf("got %v", err)
	}
}

var _ tables.Stores = (*store.Reader)(nil)
