package store

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLayoutsAreThoseOfTheDocs(t *testing.T) {
	cut := segmentsOf(10 * time.Minute)
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"window", cut.appendPlace(nil, windowPlace([]byte("a\x00b"), at(301_000), 2)),
			"80000000000493e0" + "6100ff62" + "0001" + "80000000000497c8" + "0000000000000002"},
		{"window before 1970", cut.appendPlace(nil, windowPlace([]byte("a"), at(-1), 0)),
			"7ffffffffffb6c20" + "61" + "0001" + "7fffffffffffffff" + "0000000000000000"},
		{"session", cut.appendPlace(nil, sessionPlace([]byte("k"), at(1000), at(301_000))),
			"80000000000493e0" + "6b" + "0001" + "80000000000497c8" + "80000000000003e8"},
		{"version", appendVersion(nil, []byte("k"), 1000), "6b" + "0001" + "7ffffffffffffc17"},
		{"value of a version", writeVersionValue([]byte("v")), "0176"},
		{"empty value of a version", writeVersionValue([]byte{}), "01"},
		{"deletion", writeVersionValue(nil), "00"},
		{"record", record{number: 3, checkpoint: 258, observed: -1, layout: "kv", origin: "o"}.bytes(),
			"0003" + "0000000000000102" + "ffffffffffffffff" + "0002" + "6b76" + "6f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hex.EncodeToString(c.got); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestKeysSortAsTheirParts(t *testing.T) {
	cut := segments{60_000}
	bytesOf := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0xfe, 0xff}), 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		a, b := bytesOf.Draw(t, "a"), bytesOf.Draw(t, "b")
		s, u := rapid.Int64().Draw(t, "s"), rapid.Int64().Draw(t, "u")
		if got := bytes.Compare(appendKey(nil, a), appendKey(nil, b)); got != bytes.Compare(a, b) {
			t.Fatalf("keys: %d", got)
		}
		if got := bytes.Compare(appendTime(nil, s), appendTime(nil, u)); got != cmp.Compare(s, u) {
			t.Fatalf("times: %d", got)
		}
		if got := bytes.Compare(appendDescending(nil, s), appendDescending(nil, u)); got != cmp.Compare(u, s) {
			t.Fatalf("descending times: %d", got)
		}
		if start := cut.start(s); start > s || s-start >= 60_000 || start%60_000 != 0 && s > -1<<62 {
			t.Fatalf("segment %d of %d", start, s)
		}
		segment, p, err := readPlace(cut.appendPlace(nil, windowPlace(a, timeOf(s>>12), 9)))
		if err != nil || !bytes.Equal(p.key, a) || p.at != s>>12 || p.second != 9 || segment != cut.start(s>>12) {
			t.Fatalf("read %v, %v", p, err)
		}
		key, when, err := readVersion(appendVersion(nil, b, s))
		if err != nil || !bytes.Equal(key, b) || when != s {
			t.Fatalf("read %q %d, %v", key, when, err)
		}
	})
}

// FuzzReadKeys feeds the decoders what a foreign changelog may have.
func FuzzReadKeys(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add(segments{60_000}.appendPlace(nil, windowPlace([]byte("a\x00"), at(-5), 3)), writeVersionValue([]byte("v")))
	f.Add(appendVersion(nil, []byte("\x00\xff"), -1), []byte{0})
	f.Add(record{number: 3, layout: "kv"}.bytes(), []byte{2})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		cut := segments{60_000}
		if segment, p, err := readPlace(key); err == nil && segment == cut.start(p.at) && !bytes.Equal(cut.appendPlace(nil, p), key) {
			t.Errorf("place %v of %x", p, key)
		}
		if k, at, err := readVersion(key); err == nil && !bytes.Equal(appendVersion(nil, k, at), key) {
			t.Errorf("version %x %d of %x", k, at, key)
		}
		if v, err := readVersionValue(value); err == nil && !bytes.Equal(writeVersionValue(v), value) {
			t.Errorf("value %x of %x", v, value)
		}
		if r, err := readRecord(key); err == nil && !bytes.Equal(r.bytes(), key) {
			t.Errorf("record %v of %x", r, key)
		}
		s := openTest(t, Options{Specs: twinSpecs()})
		for _, spec := range twinSpecs() { // an error is fine, a panic is not
			_ = s.Load(spec.Name, []Change{{Key: key, Value: value, Time: at(5)}, {Key: key, Time: at(6)}}, 1)
		}
		if err := s.Err(); err != nil {
			t.Errorf("a bad change broke the state: %v", err)
		}
	})
}
