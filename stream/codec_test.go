package stream_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"ravenswood.dev/internal/record"
	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestCodecsReadWhatTheyWrite(t *testing.T) {
	roundTrip(t, stream.String(), "", "x", "ä€")
	roundTrip(t, stream.Int64(), 0, -1, 1<<62)
	roundTrip(t, stream.Float64(), 0, -1.5, 1e300)
	roundTrip(t, stream.JSON[order](), order{}, order{"c", 3})
	w := func(key string) stream.Windowed[string] {
		return stream.Windowed[string]{Key: key, Start: at(0), End: at(60)}
	}
	roundTrip(t, stream.WindowedKey(stream.String()), w(""), w("a"), w("a@1/2"))
	raw, err := stream.Raw().Encode([]byte("a"), []byte("b"))
	if err != nil || string(raw) != "ab" {
		t.Errorf("raw is %q, %v: codecs append", raw, err)
	}
}

func roundTrip[T comparable](t *testing.T, c stream.Codec[T], values ...T) {
	t.Helper()
	for _, v := range values {
		data, err := c.Encode([]byte("head"), v)
		if err != nil || string(data[:4]) != "head" {
			t.Fatalf("%v is written as %q, %v", v, data, err)
		}
		if got, err := c.Decode(data[4:]); err != nil || got != v {
			t.Errorf("%v is read as %v, %v", v, got, err)
		}
	}
}

func TestCodecsRefuseWhatTheyCannotRead(t *testing.T) {
	bad := []byte("{")
	_, err1 := stream.Int64().Decode(bad)
	_, err2 := stream.Float64().Decode(bad)
	_, err3 := stream.JSON[order]().Decode(bad)
	_, err4 := stream.WindowedKey(stream.String()).Decode(bad)
	_, err5 := stream.WindowedKey(stream.Int64()).Decode([]byte("x@1/2"))
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if err == nil {
			t.Errorf("codec %d reads nonsense", i)
		}
	}
}

// A codec of one's own that cannot write what it is given, and is no comparable type.
type pickyCodec struct{ refused []string }

func (c pickyCodec) Encode(buf []byte, v string) ([]byte, error) {
	if slices.Contains(c.refused, v) {
		return nil, errors.New("refused")
	}
	return append(buf, v...), nil
}

func (c pickyCodec) Decode(data []byte) (string, error) { return string(data), nil }

func TestWhatACodecCannotWriteIsADeadLetter(t *testing.T) {
	picky := pickyCodec{[]string{"bad"}}
	topo, in, out := stream.New("t"), text("in"), stream.Topic("out", stream.String(), stream.Codec[string](picky))
	stream.From(topo, in).To(out)
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), "a=x b=bad")
	want(t, "records", shown(streamtest.Output(d, out).Records()), "a=x")
	if dead := d.DeadLetters(); len(dead) != 1 || dead[0].Err.Error() != "write value: refused" {
		t.Errorf("dead letters %+v", dead)
	}
}

func TestTablesSayWhatTheirValuesAre(t *testing.T) {
	topo := stream.New("t")
	stream.TableOf(topo, orders)
	stream.GlobalOf(topo, customers)
	stream.From(topo, messages).GroupByKey().Count()
	stream.From(topo, messages).ToTable()
	stream.Aggregate(stream.From(topo, messages).GroupByKey(), stream.Float64(), func() float64 { return 0 }, func(_, _ string, so float64) float64 { return so }, stream.Named("mean"))
	hourly := stream.CountWindows(stream.From(topo, messages).GroupByKey().Windowed(stream.Tumbling(time.Hour)), stream.Named("hourly"))
	stream.Final(hourly, stream.Named("held-back")).Changes().ForEach(func(stream.Record[stream.Windowed[string], int64]) error { return nil })
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	formats := map[string]record.Format{}
	for _, table := range plan.Tables {
		formats[table.Name] = table.Format
	}
	if _, ok := formats["held-back"]; ok {
		t.Error("what is held back is no table")
	}
	for name, want := range map[string]record.Format{"hourly": record.Int64, "orders-table": record.JSON, "customers-global": record.JSON, "count": record.Int64, "mean": record.Float64, "table": record.Text} {
		if got, ok := formats[name]; !ok || got != want {
			t.Errorf("table %s holds %v, %v, want %v; all: %v", name, got, ok, want, formats)
		}
	}
}

func FuzzWindowedKey(f *testing.F) {
	f.Add([]byte("a@1/2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := stream.WindowedKey(stream.String())
		w, err := c.Decode(data)
		if err != nil {
			return
		}
		again, err := c.Encode(nil, w)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Decode(again); err != nil || back != w {
			t.Errorf("%q is read as %v, then as %v, %v", data, w, back, err)
		}
	})
}

func TestWindowedKeysPrint(t *testing.T) {
	w := stream.Windowed[string]{Key: "a", Start: at(0).In(time.FixedZone("x", 3600)), End: at(0.5)}
	want(t, "text", w.String(), "a@2020-01-01T00:00:00Z/2020-01-01T00:00:00.5Z")
}
