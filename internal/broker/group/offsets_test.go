package group

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	start    = time.Unix(1000, 0).UTC()
	clicks   = Topic{"clicks", [16]byte{1}}
	orders   = Topic{"orders", [16]byte{2}}
	clicks2  = Topic{"clicks", [16]byte{3}} // the same name, made anew
	anybody  = func(string) *kerr.Error { return nil }
	everyone = known(clicks, orders)
)

// known is a catalog of these topics with 3 partitions each.
func known(topics ...Topic) Resolve {
	return func(name string, id [16]byte) (Topic, int32, *kerr.Error) {
		for _, t := range topics {
			if t.Name == name || name == "" && t.ID == id {
				return t, 3, nil
			}
		}
		if name == "" {
			return Topic{}, 0, kerr.UnknownTopicID
		}
		return Topic{}, 0, kerr.UnknownTopicOrPartition
	}
}

func commitOf(group, topic string, partition int32, offset int64, metadata string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group = 9, group
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata, p.LeaderEpoch = partition, offset, &metadata, 7
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func pendingOf(producer int64, group, topic string, partition int32, offset int64) *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.Group, req.ProducerID, req.ProducerEpoch = 5, group, producer, 4
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// tester is a test of testing or of rapid.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// apply takes an entry through the journal.
func apply(t tester, o *Offsets, e OffsetsEntry) {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back OffsetsEntry
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if err := o.Restore(back); err != nil {
		t.Fatal(err)
	}
}

func commitTo(t tester, o *Offsets, group string, topic Topic, partition int32, offset int64) {
	t.Helper()
	e, r := o.Commit(start, commitOf(group, topic.Name, partition, offset, ""), known(topic))
	if c := r.Topics[0].Partitions[0].ErrorCode; c != 0 {
		t.Fatal(codeName(c))
	}
	apply(t, o, e)
}

func pend(t tester, o *Offsets, producer int64, group string, topic Topic, partition int32, offset int64) {
	t.Helper()
	e, r := o.TxnCommit(start, pendingOf(producer, group, topic.Name, partition, offset), known(topic))
	if c := r.Topics[0].Partitions[0].ErrorCode; c != 0 {
		t.Fatal(codeName(c))
	}
	apply(t, o, e)
}

// at is the committed offset, -1 without one.
func at(o *Offsets, group string, topic Topic, partition int32) int64 {
	if x, ok := o.Get(group, topic, partition); ok {
		return x.Offset
	}
	return -1
}

func wantAt(t *testing.T, o *Offsets, group string, topic Topic, partition int32, want int64) {
	t.Helper()
	if got := at(o, group, topic, partition); got != want {
		t.Errorf("%s %s/%d is at %d, want %d", group, topic.Name, partition, got, want)
	}
}

func TestCommitChangesNothingBeforeItsEntryIsApplied(t *testing.T) {
	o := NewOffsets(0)
	e, r := o.Commit(start, commitOf("g", "clicks", 1, 42, "words"), everyone)
	if r.Topics[0].Partitions[0].ErrorCode != 0 || o.Has("g") {
		t.Fatalf("%+v, has %v", r, o.Has("g"))
	}
	apply(t, o, e)
	got, ok := o.Get("g", clicks, 1)
	if want := (Offset{42, 7, "words", start}); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCommitIsRefusedByPartition(t *testing.T) {
	denied := func(string, [16]byte) (Topic, int32, *kerr.Error) { return Topic{}, 0, kerr.TopicAuthorizationFailed }
	for name, c := range map[string]struct {
		req     *kmsg.OffsetCommitRequest
		resolve Resolve
		want    *kerr.Error
	}{
		"a topic that is not there":  {commitOf("g", "nothing", 0, 1, ""), everyone, kerr.UnknownTopicOrPartition},
		"a topic that is forbidden":  {commitOf("g", "clicks", 0, 1, ""), denied, kerr.TopicAuthorizationFailed},
		"a partition beyond the end": {commitOf("g", "clicks", 3, 1, ""), everyone, kerr.UnknownTopicOrPartition},
		"a negative partition":       {commitOf("g", "clicks", -1, 1, ""), everyone, kerr.UnknownTopicOrPartition},
		"too many words":             {commitOf("g", "clicks", 0, 1, strings.Repeat("x", 4097)), everyone, kerr.OffsetMetadataTooLarge},
		"just enough words":          {commitOf("g", "clicks", 0, 1, strings.Repeat("x", 4096)), everyone, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, r := NewOffsets(0).Commit(start, c.req, c.resolve)
			if got := r.Topics[0].Partitions[0].ErrorCode; got != code(c.want) {
				t.Errorf("got %s, want %s", codeName(got), errName(c.want))
			}
			if e.Empty() != (c.want != nil) {
				t.Errorf("the entry is %+v", e)
			}
		})
	}
}

func TestCommitThatNoEntryHoldsIsRefusedAsAWhole(t *testing.T) {
	req := commitOf("g", "clicks", 0, 1, strings.Repeat("x", 4096))
	for range 600 {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
	}
	e, r := NewOffsets(0).Commit(start, req, everyone)
	if !e.Empty() || r.Topics[0].Partitions[0].ErrorCode != kerr.InvalidCommitOffsetSize.Code {
		t.Errorf("entry %v, answer %s", e.Empty(), codeName(r.Topics[0].Partitions[0].ErrorCode))
	}
	if len(r.Topics[0].Partitions) != 601 {
		t.Errorf("%d partitions answered", len(r.Topics[0].Partitions))
	}
}

func TestRefusedCommitNamesEveryPartition(t *testing.T) {
	r := RefuseCommit(commitOf("g", "clicks", 2, 1, ""), kerr.IllegalGeneration)
	x := RefuseTxnCommit(pendingOf(1, "g", "clicks", 2, 1), kerr.InvalidProducerEpoch)
	if p := r.Topics[0].Partitions[0]; p.Partition != 2 || p.ErrorCode != kerr.IllegalGeneration.Code {
		t.Errorf("%+v", p)
	}
	if p := x.Topics[0].Partitions[0]; p.Partition != 2 || p.ErrorCode != kerr.InvalidProducerEpoch.Code {
		t.Errorf("%+v", p)
	}
}

func TestTransactionsOffsetsCountWhenItCommits(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprintf("committed %v", committed), func(t *testing.T) {
			o := NewOffsets(0)
			commitTo(t, o, "g", clicks, 0, 10)
			pend(t, o, 5, "g", clicks, 0, 20)
			pend(t, o, 6, "g", clicks, 1, 30)
			wantAt(t, o, "g", clicks, 0, 10)
			if !o.Unstable("g", clicks, 0) {
				t.Error("an open transaction is not seen")
			}
			o.End(5, committed)
			wantAt(t, o, "g", clicks, 0, map[bool]int64{true: 20, false: 10}[committed])
			if o.Unstable("g", clicks, 0) || !o.Unstable("g", clicks, 1) {
				t.Error("the wrong transaction ended")
			}
		})
	}
}

// KIP-447: what the group commits after the transaction sent its offsets is newer than them, whenever it ends.
func TestLaterPlainCommitOutlivesTheTransaction(t *testing.T) {
	o := NewOffsets(0)
	pend(t, o, 5, "g", clicks, 0, 20)
	commitTo(t, o, "g", clicks, 0, 15)
	o = reopen(t, o)
	o.End(5, true)
	wantAt(t, o, "g", clicks, 0, 15)
	pend(t, o, 5, "g", clicks, 0, 40)
	o.End(5, true)
	wantAt(t, o, "g", clicks, 0, 40)
}

func TestOffsetsOfADeletedTopicAreNotThoseOfItsSuccessor(t *testing.T) {
	o := NewOffsets(0)
	commitTo(t, o, "g", clicks, 0, 10)
	pend(t, o, 5, "g", clicks, 1, 20)
	wantAt(t, o, "g", clicks2, 0, -1)
	o.DropTopic(clicks.ID)
	o.End(5, true)
	if o.Has("g") {
		t.Error("something is left of a topic that is gone")
	}
}

func TestDroppedGroupTakesItsPendingOffsets(t *testing.T) {
	o := NewOffsets(0)
	commitTo(t, o, "g", clicks, 0, 10)
	pend(t, o, 5, "g", clicks, 1, 20)
	commitTo(t, o, "h", clicks, 0, 11)
	apply(t, o, o.DropGroup("g"))
	o.End(5, true)
	if got := o.Groups(); !reflect.DeepEqual(got, []string{"h"}) {
		t.Errorf("groups %v", got)
	}
}

func TestOffsetDelete(t *testing.T) {
	o := NewOffsets(0)
	commitTo(t, o, "g", clicks, 0, 10)
	commitTo(t, o, "g", orders, 0, 10)
	pend(t, o, 5, "g", orders, 0, 20)
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = "g"
	for _, name := range []string{"clicks", "orders", "nothing"} {
		topic := kmsg.NewOffsetDeleteRequestTopic()
		topic.Topic = name
		topic.Partitions = []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 9}}
		req.Topics = append(req.Topics, topic)
	}
	e, r := o.Delete(start, req, func(topic string) bool { return topic == "clicks" }, everyone)
	var got []string
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			got = append(got, codeName(p.ErrorCode))
		}
	}
	want := []string{"GROUP_SUBSCRIBED_TO_TOPIC", "GROUP_SUBSCRIBED_TO_TOPIC", "ok", "UNKNOWN_TOPIC_OR_PARTITION",
		"UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PARTITION"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	apply(t, o, e)
	o.End(5, true) // was sent before the deletion
	wantAt(t, o, "g", clicks, 0, 10)
	wantAt(t, o, "g", orders, 0, -1)
}

func TestOffsetsExpireWhenTheGroupIsEmptyLongEnough(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		empty   bool
		since   time.Time // group became empty
		now     time.Time
		pending bool
		want    int64
	}{
		"long empty":                      {true, start, start.Add(8 * day), false, -1},
		"empty since today":               {true, start.Add(7 * day), start.Add(8 * day), false, 10},
		"has members":                     {false, start, start.Add(8 * day), false, 10},
		"never had any":                   {true, time.Time{}, start.Add(8 * day), false, -1},
		"never had any, committed lately": {true, time.Time{}, start.Add(6 * day), false, 10},
		"a transaction is open":           {true, start, start.Add(8 * day), true, 10},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOffsets(0)
			commitTo(t, o, "g", clicks, 0, 10)
			if c.pending {
				pend(t, o, 5, "g", clicks, 0, 20)
			}
			for _, e := range o.Expire(c.now, 7*day, func(string) (time.Time, bool) { return c.since, c.empty }) {
				apply(t, o, e)
			}
			wantAt(t, o, "g", clicks, 0, c.want)
		})
	}
}

func fetchOf(version int16, stable bool, topics ...string) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.RequireStable, req.Group = version, stable, "g"
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	for _, name := range topics {
		one, many := kmsg.NewOffsetFetchRequestTopic(), kmsg.NewOffsetFetchRequestGroupTopic()
		one.Topic, many.Topic = name, name
		if version >= 10 {
			many.Topic, many.TopicID = "", map[string][16]byte{"clicks": clicks.ID, "orders": orders.ID}[name]
		}
		one.Partitions, many.Partitions = []int32{0, 1, 2}, []int32{0, 1, 2}
		req.Topics, g.Topics = append(req.Topics, one), append(g.Topics, many)
	}
	req.Groups = append(req.Groups, g)
	return req
}

// fetched is an answer in one line, whatever its version.
func fetched(r *kmsg.OffsetFetchResponse) string {
	r.AppendTo(nil)
	var out []string
	if r.Version < 8 {
		out = append(out, codeName(r.ErrorCode))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d:%d:%s", t.Topic, p.Partition, p.Offset, codeName(p.ErrorCode)))
			}
		}
		return strings.Join(out, " ")
	}
	for _, g := range r.Groups {
		out = append(out, codeName(g.ErrorCode))
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d:%d:%s", t.Topic, p.Partition, p.Offset, codeName(p.ErrorCode)))
			}
		}
	}
	return strings.Join(out, " ")
}

func TestFetch(t *testing.T) {
	o := NewOffsets(0)
	commitTo(t, o, "g", clicks, 0, 10)
	commitTo(t, o, "g", clicks, 1, 11)
	commitTo(t, o, "g", orders, 0, 12)
	pend(t, o, 5, "g", clicks, 1, 20)
	pend(t, o, 5, "g", clicks, 2, 21)
	unstable := "clicks/0:10:ok clicks/1:-1:UNSTABLE_OFFSET_COMMIT clicks/2:-1:UNSTABLE_OFFSET_COMMIT"
	denied := func(string) *kerr.Error { return kerr.GroupAuthorizationFailed }
	for name, c := range map[string]struct {
		req   *kmsg.OffsetFetchRequest
		allow func(string) *kerr.Error
		want  string
	}{
		"some, one group":            {fetchOf(5, false, "clicks"), anybody, "ok clicks/0:10:ok clicks/1:11:ok clicks/2:-1:ok"},
		"some, many groups":          {fetchOf(9, false, "clicks"), anybody, "ok clicks/0:10:ok clicks/1:11:ok clicks/2:-1:ok"},
		"stable only, one group":     {fetchOf(7, true, "clicks"), anybody, "ok " + unstable},
		"stable only, many groups":   {fetchOf(8, true, "clicks"), anybody, "ok " + unstable},
		"by id":                      {fetchOf(10, true, "clicks"), anybody, "ok " + strings.ReplaceAll(unstable, "clicks", "")},
		"by an id that is not there": {fetchOf(10, false, "nothing"), anybody, "ok /0:-1:UNKNOWN_TOPIC_ID /1:-1:UNKNOWN_TOPIC_ID /2:-1:UNKNOWN_TOPIC_ID"},
		"by a name that is not":      {fetchOf(9, false, "nothing"), anybody, "ok nothing/0:-1:ok nothing/1:-1:ok nothing/2:-1:ok"},
		"all":                        {fetchOf(7, false), anybody, "ok clicks/0:10:ok clicks/1:11:ok orders/0:12:ok"},
		"all, stable only":           {fetchOf(9, true), anybody, "ok " + unstable + " orders/0:12:ok"},
		"forbidden":                  {fetchOf(7, false, "clicks"), denied, "GROUP_AUTHORIZATION_FAILED"},
		"forbidden, many groups":     {fetchOf(8, false, "clicks"), denied, "GROUP_AUTHORIZATION_FAILED"},
		"forbidden, first versions": {fetchOf(1, false, "clicks"), denied,
			"GROUP_AUTHORIZATION_FAILED clicks/0:-1:GROUP_AUTHORIZATION_FAILED clicks/1:-1:GROUP_AUTHORIZATION_FAILED clicks/2:-1:GROUP_AUTHORIZATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fetched(o.Fetch(c.req, c.allow, everyone)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFetchOfNoTopicsIsNotFetchOfAll(t *testing.T) {
	o := NewOffsets(0)
	commitTo(t, o, "g", clicks, 0, 10)
	req := fetchOf(9, false)
	req.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	if got := fetched(o.Fetch(req, anybody, everyone)); got != "ok" {
		t.Errorf("got %s", got)
	}
}

// reopen takes the offsets through a checkpoint of the journal.
func reopen(t tester, o *Offsets) *Offsets {
	t.Helper()
	back := NewOffsets(0)
	if err := o.Snapshot(func(e OffsetsEntry) error { apply(t, back, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestSnapshotOfALargeGroupIsSeveralEntries(t *testing.T) {
	o := NewOffsets(0)
	many := func(name string, _ [16]byte) (Topic, int32, *kerr.Error) {
		return Topic{name, [16]byte{9}}, 1 << 20, nil
	}
	for p := range int32(2000) {
		e, _ := o.Commit(start, commitOf("g", "wide", p, int64(p), strings.Repeat("\x01", 4096)), many)
		apply(t, o, e)
	}
	entries, back := 0, NewOffsets(0)
	err := o.Snapshot(func(e OffsetsEntry) error {
		entries++
		if b, _ := json.Marshal(e); len(b) > 16<<20 {
			t.Errorf("an entry takes %d bytes", len(b))
		}
		return back.Restore(e)
	})
	if err != nil || entries < 4 || !reflect.DeepEqual(o.groups, back.groups) {
		t.Errorf("%d entries, same %v, %v", entries, reflect.DeepEqual(o.groups, back.groups), err)
	}
}

func TestRestoreRefusesWhatItCannotRead(t *testing.T) {
	o := NewOffsets(0)
	err := o.Restore(OffsetsEntry{Group: "g", Topics: []OffsetsTopic{{Name: "t", ID: "12"}}})
	if err == nil || o.Has("g") {
		t.Errorf("%v, has %v", err, o.Has("g"))
	}
}
