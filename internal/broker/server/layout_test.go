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
			if d, ok := v.Index(i).Addr().Interface().(interface{ Default() }); ok {
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
