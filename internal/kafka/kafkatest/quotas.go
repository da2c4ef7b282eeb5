package kafkatest

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func quotaCases() []testCase {
	return []testCase{
		{"a quota is set, described and removed", quotaRoundTrip},
		{"an unknown kind of quota is refused", quotaUnknownKey},
		{"an unknown kind of entity is refused", quotaUnknownEntity},
		{"validating sets nothing", quotaValidate},
		{"a description can be strict", quotaStrict},
		{"who produces too fast is told to wait", quotaProduce},
		{"who fetches too fast is told to wait", quotaFetch},
		{"a throttled connection is held back", quotaHeld},
		{"a quota of a user holds for the user", quotaUser},
		{"others are not throttled", quotaOthers},
	}
}

// entity is who a quota is for: pairs of kind and name.
type entity []string

func (e entity) altered() (all []kmsg.AlterClientQuotasRequestEntryEntity) {
	for i := 0; i < len(e); i += 2 {
		all = append(all, kmsg.AlterClientQuotasRequestEntryEntity{Type: e[i], Name: &e[i+1]})
	}
	return all
}

func (t *T) setQuota(who entity, key string, value float64, validateOnly bool) int16 {
	t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.ValidateOnly = validateOnly
	req.Entries = []kmsg.AlterClientQuotasRequestEntry{{Entity: who.altered(),
		Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: value, Remove: value == 0}}}}
	return ask(t, req.RequestWith).Entries[0].ErrorCode
}

// quotas describes the quotas of one entity.
func (t *T) quotas(strict bool, who ...string) map[string]float64 {
	t.Helper()
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = strict
	for i := 0; i < len(who); i += 2 {
		req.Components = append(req.Components, kmsg.DescribeClientQuotasRequestComponent{EntityType: who[i], Match: &who[i+1]})
	}
	res := ask(t, req.RequestWith)
	t.ok("describe quotas", res.ErrorCode)
	found := map[string]float64{}
	for _, entry := range res.Entries {
		for _, v := range entry.Values {
			found[v.Key] = v.Value
		}
	}
	return found
}

func quotaRoundTrip(t *T) {
	name := t.unique("client")
	t.ok("set quota", t.setQuota(entity{"client-id", name}, "producer_byte_rate", 5000, false))
	t.ok("set quota", t.setQuota(entity{"client-id", name}, "consumer_byte_rate", 6000, false))
	t.eventually("both quotas", func() bool {
		found := t.quotas(true, "client-id", name)
		return len(found) == 2 && found["producer_byte_rate"] == 5000 && found["consumer_byte_rate"] == 6000
	})
	t.ok("remove quota", t.setQuota(entity{"client-id", name}, "producer_byte_rate", 0, false))
	t.eventually("one quota", func() bool { return len(t.quotas(true, "client-id", name)) == 1 })
}

func quotaUnknownKey(t *T) {
	t.want("set quota", t.setQuota(entity{"client-id", t.unique("client")}, "cups_of_coffee", 3, false), kerr.InvalidRequest)
}

func quotaUnknownEntity(t *T) {
	t.want("set quota", t.setQuota(entity{"colour", "blue"}, "producer_byte_rate", 3, false), kerr.InvalidRequest)
}

func quotaValidate(t *T) {
	name := t.unique("client")
	t.ok("validate", t.setQuota(entity{"client-id", name}, "producer_byte_rate", 5000, true))
	equal(t, "quotas", len(t.quotas(true, "client-id", name)), 0)
}

func quotaStrict(t *T) {
	user, client := t.unique("user"), t.unique("client")
	t.ok("set quota", t.setQuota(entity{"user", user, "client-id", client}, "producer_byte_rate", 5000, false))
	t.eventually("the quota of user and client", func() bool { return len(t.quotas(true, "user", user, "client-id", client)) == 1 })
	equal(t, "quotas of the user, strictly", len(t.quotas(true, "user", user)), 0)
	equal(t, "quotas with the user", len(t.quotas(false, "user", user)), 1)
}

// limited is a connection under a name of its own with a quota that is known to the broker.
func (t *T) limited(key string, rate float64) *conn {
	t.Helper()
	c := t.dial()
	c.client = t.unique("client")
	t.ok("set quota", t.setQuota(entity{"client-id", c.client}, key, rate, false))
	t.eventually("the quota", func() bool { return len(t.quotas(true, "client-id", c.client)) == 1 })
	return c
}

// throttled produces some 20 KB at a time until the answer says to wait.
func (t *T) throttled(c *conn, topic string) (wait time.Duration) {
	t.Helper()
	raw := plain(strings.Repeat("x", 20_000)).bytes()
	for i := 0; i < 50 && wait == 0; i++ {
		res := askOn(t, c, produceRequest(topic, 0, raw).RequestWith)
		t.ok("produce", onlyProduced(t, res).ErrorCode)
		wait = time.Duration(res.ThrottleMillis) * time.Millisecond
	}
	return wait
}

func quotaProduce(t *T) {
	if t.throttled(t.limited("producer_byte_rate", 10_000), t.topic(1)) == 0 {
		t.Fatalf("nobody was told to wait after 1 MB")
	}
}

func quotaFetch(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(strings.Repeat("x", 50_000)))
	c := t.limited("consumer_byte_rate", 20_000)
	for range 20 {
		if askOn(t, c, fetchRequest(topic, 0, 0).RequestWith).ThrottleMillis > 0 {
			return
		}
	}
	t.Fatalf("nobody was told to wait after 1 MB")
}

// quotaHeld looks whether the broker reads on before the time is over; clients that do not obey must not gain.
func quotaHeld(t *T) {
	topic := t.topic(1)
	c := t.limited("producer_byte_rate", 20_000)
	wait := t.throttled(c, topic)
	if wait == 0 {
		t.Fatalf("nobody was told to wait after 1 MB")
	}
	begun := time.Now()
	askOn(t, c, kmsg.NewPtrMetadataRequest().RequestWith)
	if took := time.Since(begun); took < wait/2 {
		t.Fatalf("answered after %s, with %s to wait", took, wait)
	}
}

func quotaUser(t *T) {
	topic := t.topic(1)
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationWrite})
	t.allowed("writing", func() int16 { return t.produceAs(client, topic) })
	t.ok("set quota", t.setQuota(entity{"user", user}, "producer_byte_rate", 10_000, false))
	t.eventually("the quota", func() bool { return len(t.quotas(true, "user", user)) == 1 })
	if t.throttled(client, topic) == 0 {
		t.Fatalf("nobody was told to wait after 1 MB")
	}
}

func quotaOthers(t *T) {
	topic := t.topic(1)
	t.limited("producer_byte_rate", 10_000)
	c := t.dial()
	c.client = t.unique("client")
	equal(t, "time to wait", t.throttled(c, topic), 0)
}
