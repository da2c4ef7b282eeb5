package acl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func drawEntity(t *rapid.T) Entity {
	name := rapid.SampledFrom([]string{"", "a", "b", Default})
	return Entity{User: name.Draw(t, "user"), ClientID: name.Draw(t, "client id")}
}

func limited(t testing.TB, o QuotaOptions, key string, of map[Entity]float64) *Quotas {
	t.Helper()
	q := newQuotas(o)
	for e, v := range of {
		if err := q.put(e, map[string]float64{key: v}); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func TestTheMostSpecificQuotaHolds(t *testing.T) {
	order := []Entity{
		{User: "a", ClientID: "x"}, {User: "a", ClientID: Default}, {User: "a"},
		{User: Default, ClientID: "x"}, {User: Default, ClientID: Default}, {User: Default},
		{ClientID: "x"}, {ClientID: Default},
	}
	shared := []Entity{
		{User: "a", ClientID: "x"}, {User: "a", ClientID: "x"}, {User: "a"},
		{User: "a", ClientID: "x"}, {User: "a", ClientID: "x"}, {User: "a"}, {ClientID: "x"}, {ClientID: "x"},
	}
	for i := range order {
		of := map[Entity]float64{}
		for j, e := range order[i:] {
			of[e] = float64(100 + i + j)
		}
		q := limited(t, QuotaOptions{}, producerByteRate, of)
		v, s, ok := q.quotaOf(Client{User: "a", ID: "x"}, producerByteRate)
		if !ok || v != float64(100+i) || s != shared[i] {
			t.Errorf("with %v and what is below it: %v shared by %v", order[i], v, s)
		}
		if _, _, ok := q.quotaOf(Client{User: "a", ID: "x"}, consumerByteRate); ok {
			t.Error("another key is limited")
		}
	}
}

func TestClientWithoutIDFallsUnderTheDefault(t *testing.T) {
	q := limited(t, QuotaOptions{}, producerByteRate, map[Entity]float64{{User: "a"}: 1, {User: "a", ClientID: Default}: 2})
	if v, _, _ := q.quotaOf(Client{User: "a"}, producerByteRate); v != 2 {
		t.Errorf("quota %v", v)
	}
}

func TestChargeThrottlesOverTheBurst(t *testing.T) {
	q := limited(t, QuotaOptions{MaxThrottle: 3 * time.Second}, producerByteRate, map[Entity]float64{{User: Default}: 1000})
	alice, bob := Client{User: "alice"}, Client{User: "bob"}
	for _, c := range []struct {
		name  string
		who   Client
		kind  QuotaKind
		at    time.Duration
		units int64
		want  time.Duration
	}{
		{"a burst is free", alice, Produced, 0, 1000, 0},
		{"what is above is not", alice, Produced, 0, 500, 500 * time.Millisecond},
		{"nothing new, still in debt", alice, Produced, 100 * time.Millisecond, 0, 400 * time.Millisecond},
		{"the debt is paid", alice, Produced, 500 * time.Millisecond, 0, 0},
		{"a part of a millisecond counts whole", alice, Produced, 500 * time.Millisecond, 1, time.Millisecond},
		{"others are not concerned", bob, Produced, 500 * time.Millisecond, 1000, 0},
		{"other kinds are not limited", alice, Fetched, 500 * time.Millisecond, 1e9, 0},
		{"one answer tells at most so much", alice, Produced, time.Second, 10_000, 3 * time.Second},
		{"the rest stays a debt", alice, Produced, 4 * time.Second, 0, 3 * time.Second},
		{"a clock that goes back gives nothing", alice, Produced, time.Second, 0, 3 * time.Second},
		{"until it is paid", alice, Produced, 11 * time.Second, 0, 0},
		{"less than nothing gives nothing", alice, Produced, 11 * time.Second, -5000, 0},
		{"after that", alice, Produced, 11 * time.Second, 1000, 501 * time.Millisecond},
	} {
		if got := q.Charge(c.who, c.kind, c.units, noon.Add(c.at)); got != c.want {
			t.Errorf("%s: throttled for %v, want %v", c.name, got, c.want)
		}
	}
}

func TestThrottleIsNeverTooShort(t *testing.T) {
	q := limited(t, QuotaOptions{}, producerByteRate, map[Entity]float64{{User: "a"}: 3})
	if got := q.Charge(Client{User: "a"}, Produced, 4, noon); got != 334*time.Millisecond {
		t.Errorf("a third of a second became %v", got)
	}
}

// A client that waits as it is told, over any window, gets its rate plus one burst plus its last request.
func TestRateHoldsOverAnyLongWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 1e6).Draw(t, "rate")
		window := time.Duration(rapid.IntRange(100, 5000).Draw(t, "window")) * time.Millisecond
		q := newQuotas(QuotaOptions{Window: window, MaxThrottle: time.Duration(rapid.IntRange(1, 2000).Draw(t, "longest")) * time.Millisecond})
		if q.put(Entity{User: "a"}, map[string]float64{requestPercent: rate / 1e7}) != nil { // in units per second
			t.Fatal("not taken")
		}
		type sent struct {
			at    time.Time
			units float64
		}
		var all []sent
		now, biggest := noon, 0.0
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			units := rapid.Int64Range(0, int64(rate*3)+1).Draw(t, "units")
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			all, biggest = append(all, sent{now, float64(units)}), max(biggest, float64(units))
			waits := 0
			for wait := q.Charge(Client{User: "a"}, Requests, units, now); wait > 0; wait = q.Charge(Client{User: "a"}, Requests, 0, now) {
				now = now.Add(wait)
				if waits++; waits > 100_000 {
					t.Fatal("the debt is never paid")
				}
			}
		}
		for i := range all {
			total := 0.0
			for j := i; j < len(all); j++ {
				total += all[j].units
				if most := rate*1.001*all[j].at.Sub(all[i].at).Seconds() + rate*window.Seconds() + biggest + 1; total > most {
					t.Fatalf("%v units in %v, at most %v", total, all[j].at.Sub(all[i].at), most)
				}
			}
		}
	})
}

func TestChangedQuotaHoldsAtOnce(t *testing.T) {
	q := limited(t, QuotaOptions{}, consumerByteRate, map[Entity]float64{{ClientID: "x"}: 1_000_000})
	c := Client{User: "a", ID: "x"}
	q.Charge(c, Fetched, 0, noon)
	if err := q.put(Entity{ClientID: "x"}, map[string]float64{consumerByteRate: 10}); err != nil {
		t.Fatal(err)
	}
	if got := q.Charge(c, Fetched, 20, noon); got != time.Second {
		t.Errorf("throttled for %v", got)
	}
	if n, ok := q.MaxAtOnce(c, Fetched); !ok || n != 10 {
		t.Errorf("MaxAtOnce = %d, %v", n, ok)
	}
	if err := q.put(Entity{ClientID: "x"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := q.Charge(c, Fetched, 1e9, noon); got != 0 {
		t.Errorf("throttled for %v without a quota", got)
	}
	if _, ok := q.MaxAtOnce(c, Fetched); ok {
		t.Error("MaxAtOnce without a quota")
	}
}

func TestTrackedClientsAreBounded(t *testing.T) {
	q := limited(t, QuotaOptions{MaxTracked: 10}, producerByteRate, map[Entity]float64{{ClientID: Default}: 10})
	for i := range 1000 {
		q.Charge(Client{User: "a", ID: fmt.Sprint(i)}, Produced, 20, noon)
		q.Charge(Client{User: "a", ID: "busy"}, Produced, 0, noon)
	}
	if n := len(q.buckets.of); n != 10 || q.buckets.recent.Len() != 10 {
		t.Errorf("%d clients are followed", n)
	}
	if q.Charge(Client{User: "a", ID: "busy"}, Produced, 20, noon) != time.Second {
		t.Error("the client seen last was forgotten")
	}
}

func TestConnectionsOfAnAddressAreLimited(t *testing.T) {
	q := limited(t, QuotaOptions{}, connectionRate, map[Entity]float64{{IP: Default}: 5, {IP: "10.0.0.1"}: 1})
	if q.Charge(Client{IP: "10.0.0.1"}, Connected, 2, noon) != time.Second || q.Charge(Client{IP: "10.0.0.2"}, Connected, 5, noon) != 0 {
		t.Error("wrong rate")
	}
}

func alteration(parts, ops string) kmsg.AlterClientQuotasRequestEntry {
	e := kmsg.NewAlterClientQuotasRequestEntry()
	for _, p := range strings.Fields(parts) {
		kind, name, _ := strings.Cut(p, "=")
		part := kmsg.AlterClientQuotasRequestEntryEntity{Type: kind, Name: &name}
		if name == "*" {
			part.Name = nil
		}
		e.Entity = append(e.Entity, part)
	}
	for _, o := range strings.Fields(ops) {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		key, value, set := strings.Cut(o, "=")
		op.Key, op.Remove = key, !set
		_, _ = fmt.Sscan(value, &op.Value)
		e.Ops = append(e.Ops, op)
	}
	return e
}

func TestAlterQuotas(t *testing.T) {
	for _, c := range []struct {
		name, entity, ops string
		want              string // the entry; empty: refused
	}{
		{"user", "user=a", "producer_byte_rate=10", "quota-set user=a map[consumer_byte_rate:5 producer_byte_rate:10]"},
		{"default user", "user=*", "producer_byte_rate=10", "quota-set user=<default> map[producer_byte_rate:10]"},
		{"user and client", "client-id=x user=a", "request_percentage=12.5 controller_mutation_rate=0.5", "quota-set user=a,client-id=x map[controller_mutation_rate:0.5 request_percentage:12.5]"},
		{"address", "ip=10.0.0.1", "connection_creation_rate=10", "quota-set ip=10.0.0.1 map[connection_creation_rate:10]"},
		{"all addresses", "ip=*", "connection_creation_rate=10", "quota-set ip=<default> map[connection_creation_rate:10]"},
		{"remove", "user=a", "consumer_byte_rate", "quota-set user=a map[]"},
		{"remove what is not there", "user=b", "consumer_byte_rate", "quota-set user=b map[]"},
		{"nobody", "", "producer_byte_rate=10", ""},
		{"empty name", "user=", "producer_byte_rate=10", ""},
		{"unknown entity", "group=a", "producer_byte_rate=10", ""},
		{"user twice", "user=a user=b", "producer_byte_rate=10", ""},
		{"user and address", "user=a ip=10.0.0.1", "producer_byte_rate=10", ""},
		{"no address", "ip=host", "connection_creation_rate=10", ""},
		{"address with bytes", "ip=10.0.0.1", "producer_byte_rate=10", ""},
		{"user with connections", "user=a", "connection_creation_rate=10", ""},
		{"unknown key", "user=a", "speed=10", ""},
		{"unknown key removed", "user=a", "speed", ""},
		{"key twice", "user=a", "producer_byte_rate=10 producer_byte_rate", ""},
		{"zero", "user=a", "producer_byte_rate=0", ""},
		{"negative", "user=a", "producer_byte_rate=-1", ""},
		{"part of a byte", "user=a", "producer_byte_rate=1.5", ""},
		{"not a number", "user=a", "producer_byte_rate=NaN", ""},
		{"infinite", "user=a", "request_percentage=+Inf", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := limited(t, QuotaOptions{}, consumerByteRate, map[Entity]float64{{User: "a"}: 5})
			r := kmsg.NewPtrAlterClientQuotasRequest()
			r.Entries = append(r.Entries, alteration(c.entity, c.ops))
			answer, entries := q.Alter(r)
			code := answer.Entries[0].ErrorCode
			if c.want == "" && (code != kerr.InvalidRequest.Code || len(entries) > 0) {
				t.Fatalf("code %d, entries %v", code, entries)
			}
			if c.want != "" && (code != 0 || fmt.Sprint(entries) != "["+c.want+"]") {
				t.Fatalf("code %d, entries %v", code, entries)
			}
			r.ValidateOnly = true
			if again, none := q.Alter(r); none != nil || again.Entries[0].ErrorCode != code {
				t.Error("validating differs")
			}
		})
	}
}

func TestSameEntityTwiceIsRefused(t *testing.T) {
	r := kmsg.NewPtrAlterClientQuotasRequest()
	r.Entries = append(r.Entries, alteration("user=a", "producer_byte_rate=1"), alteration("user=a", "producer_byte_rate=2"))
	if answer, entries := newQuotas(QuotaOptions{}).Alter(r); len(entries) != 1 || answer.Entries[1].ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("%v, %+v", entries, answer.Entries)
	}
}

func TestDescribeQuotas(t *testing.T) {
	q := limited(t, QuotaOptions{}, producerByteRate, map[Entity]float64{
		{User: "a"}: 1, {User: Default}: 2, {User: "a", ClientID: "x"}: 3, {ClientID: "x"}: 4, {User: "b", ClientID: Default}: 6,
	})
	if err := q.put(Entity{IP: "10.0.0.1"}, map[string]float64{connectionRate: 5}); err != nil {
		t.Fatal(err)
	}
	const exact, byDefault, any = kmsg.QuotasMatchTypeExact, kmsg.QuotasMatchTypeDefault, kmsg.QuotasMatchTypeAny
	for _, c := range []struct {
		name       string
		components []kmsg.DescribeClientQuotasRequestComponent
		strict     bool
		want       string
		err        *kerr.Error
	}{
		{"everything", nil, false, "5 4 2 1 3 6", nil},
		{"users", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any}}, false, "2 1 3 6", nil},
		{"users alone", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any}}, true, "2 1", nil},
		{"one user", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", Match: kmsg.StringPtr("a")}}, false, "1 3", nil},
		{"default user", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: byDefault}}, true, "2", nil},
		{"user and client", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any}, {EntityType: "client-id", MatchType: byDefault}}, true, "6", nil},
		{"address", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "ip", MatchType: any}}, true, "5", nil},
		{"nobody", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", Match: kmsg.StringPtr("z")}}, false, "", nil},
		{"unknown type", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "group", MatchType: any}}, false, "", kerr.UnsupportedVersion},
		{"type twice", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any}, {EntityType: "user", MatchType: any}}, false, "", kerr.InvalidRequest},
		{"exact without name", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: exact}}, false, "", kerr.InvalidRequest},
		{"any with name", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any, Match: kmsg.StringPtr("a")}}, false, "", kerr.InvalidRequest},
		{"unknown match", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 7}}, false, "", kerr.InvalidRequest},
		{"user and address", []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: any}, {EntityType: "ip", MatchType: any}}, false, "", kerr.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := q.Describe(&kmsg.DescribeClientQuotasRequest{Components: c.components, Strict: c.strict})
			var values []string
			for _, e := range answer.Entries {
				values = append(values, fmt.Sprint(e.Values[0].Value))
			}
			if got := strings.Join(values, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := answer.ErrorCode; got != codeOf(c.err) {
				t.Errorf("code %d", got)
			}
		})
	}
}
