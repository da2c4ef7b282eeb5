package record_test

import (
	"testing"

	"ravenswood.dev/internal/record"
)

func TestOriginsAreReadAsTheyAreWritten(t *testing.T) {
	for _, o := range []record.Origin{{Topic: "in"}, {Topic: "a.b-c_d", Partition: 12, Offset: 1 << 60}, {Topic: "with/slash", Partition: 3, Offset: 4}} {
		if got, err := record.ParseOrigin(o.String()); err != nil || got != o {
			t.Errorf("%v is read as %v, %v", o, got, err)
		}
	}
	for _, bad := range []string{"", "in", "in/1", "in/x/1", "in/1/x", "/1/1", "in/99999999999/1"} {
		if o, err := record.ParseOrigin(bad); err == nil {
			t.Errorf("%q is read as %v, want an error", bad, o)
		}
	}
}

func TestHeadersOfAClone(t *testing.T) {
	r := &record.Record{Headers: append(make([]record.Header, 0, 8), record.Header{Key: "a", Value: []byte("1")})}
	c := r.Clone()
	r.SetHeader("a", []byte("2"))
	r.SetHeader("b", []byte("3"))
	if v, _ := c.Header("a"); string(v) != "1" {
		t.Errorf("the clone's header a is %q after the original changed, want 1", v)
	}
	if _, ok := c.Header("b"); ok {
		t.Error("the clone has a header that only the original got")
	}
}

func TestTheLastHeaderOfANameCounts(t *testing.T) {
	r := &record.Record{Headers: []record.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte("2")}}}
	if v, ok := r.Header("a"); !ok || string(v) != "2" {
		t.Errorf("header a is %q, %v, want 2", v, ok)
	}
	r.RemoveHeader("a")
	if _, ok := r.Header("a"); ok || len(r.Headers) != 1 {
		t.Errorf("headers are %v, want only b", r.Headers)
	}
}

func TestFormats(t *testing.T) {
	for _, f := range []record.Format{record.Raw, record.JSON, record.Text} {
		if got, err := record.ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("%v is read as %v, %v", f, got, err)
		}
	}
	if _, err := record.ParseFormat("xml"); err == nil {
		t.Error("xml is read, want an error")
	}
}
