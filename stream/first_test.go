package stream_test

import (
	"strings"
	"testing"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestWordCount(t *testing.T) {
	lines := stream.Topic("lines", stream.String(), stream.String())
	counts := stream.Topic("counts", stream.String(), stream.Int64())
	topo := stream.New("wordcount")
	words := stream.FlatMapValues(stream.From(topo, lines), strings.FieldsSeq)
	totals := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("totals"))
	totals.To(counts)

	d := streamtest.New(t, topo, streamtest.Partitions(3))
	in, out := streamtest.Input(d, lines), streamtest.Output(d, counts)
	in.Send("1", "to be or not to be")
	for _, r := range out.Records() {
		t.Log(r.Key, r.Value, r.Time)
	}
	d.Restart()
	in.Send("1", "to do")
	t.Log(streamtest.Entries(d, totals))
}
