package server

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill gives every field of a request some value, lists up to three elements.
func fill(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rng.Int64() >> (64 - 8*v.Type().Size() + uintptr(rng.IntN(8))))
	case reflect.Uint8:
		v.SetUint(uint64(rng.IntN(256)))
	case reflect.Float64:
		v.SetFloat(rng.NormFloat64())
	case reflect.String:
		v.SetString(words[rng.IntN(len(words))])
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.Slice:
		n := rng.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			if d, ok := reflect.TypeAssert[interface{ Default() }](v.Index(i).Addr()); ok {
				d.Default()
			}
			fill(rng, v.Index(i))
		}
	case reflect.Pointer:
		if rng.IntN(4) == 0 {
			v.SetZero()
			return
		}
		v.Set(fresh(v.Type().Elem()))
		fill(rng, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			switch v.Type().Field(i).Name {
			case "Version":
			case "UnknownTags":
				if rng.IntN(8) == 0 {
					v.Field(i).Addr().Interface().(*kmsg.Tags).Set(uint32(1000+rng.IntN(5)), make([]byte, rng.IntN(5)))
				}
			default:
				fill(rng, v.Field(i))
			}
		}
	default:
		panic("no filling for " + v.Type().String())
	}
}

// words are names that handlers may find, and some they refuse.
var words = []string{"", "t", "t", "orders", "g", "x", "User:a", "*", "a/b", "retention.ms", "1", "\x00", "__consumer_offsets", "SCRAM-SHA-256"}

// everyVersion runs do for each version of each request that there is.
func everyVersion(t *testing.T, do func(t *testing.T, key, version int16, a api)) {
	for key, a := range allAPIs() {
		for version := a.min; version <= a.max; version++ {
			do(t, key, version, a)
		}
	}
}

func randomRequest(rng *rand.Rand, key, version int16) kmsg.Request {
	r := kmsg.RequestForKey(key)
	r.SetVersion(version)
	fill(rng, reflect.ValueOf(r).Elem())
	return r
}

func TestLayoutsFitWhatKmsgWrites(t *testing.T) {
	everyVersion(t, func(t *testing.T, key, version int16, a api) {
		rng := rand.New(rand.NewPCG(uint64(key), uint64(version)))
		l := a.layouts[version]()
		for range 100 {
			b := randomRequest(rng, key, version).AppendTo(nil)
			if _, ok := l.walk(b); !ok {
				t.Fatalf("%s version %d: %x was refused", kmsg.NameForKey(key), version, b)
			}
			if len(b) == 0 {
				continue
			}
			if _, ok := l.walk(b[:len(b)-1]); ok {
				t.Fatalf("%s version %d: %x was taken without its last byte", kmsg.NameForKey(key), version, b)
			}
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	r := kmsg.NewPtrProduceRequest()
	r.SetVersion(13)
	r.Topics = []kmsg.ProduceRequestTopic{{Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 1000)}}}}
	body, l := r.AppendTo(nil), layoutOf(r.Key(), 13)
	for b.Loop() {
		if _, ok := l.walk(body); !ok {
			b.Fatal("refused")
		}
	}
}

// TestClaimsAreNotBelieved: what a few bytes claim costs neither time nor memory.
func TestClaimsAreNotBelieved(t *testing.T) {
	apis := allAPIs()
	for _, c := range []struct {
		name         string
		key, version int16
		body         []byte
	}{
		{"four billion tags", 60, 0, []byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"tags in an element", 3, 9, []byte{2, 2, 't', 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0, 0, 0}},
		{"tags in a tag", 1, 15, append(make([]byte, 21), 1, 1, 1, 1, 1, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)},
		{"more elements than bytes", 3, 1, []byte{0, 0, 0, 9, 0, 0, 0, 0}},
		{"more elements than anybody needs", 3, 1, append([]byte{0, 0x08, 0, 0}, make([]byte, 2<<19)...)},
		{"a string longer than the request", 17, 1, []byte{0x7f, 0xff}},
	} {
		if _, ok := apis[c.key].layouts[c.version]().walk(c.body); ok {
			t.Errorf("%s: taken", c.name)
		}
	}
}
