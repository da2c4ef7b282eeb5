package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"

	"ravenswood.dev/internal/record"
)

// Codec turns values of one type to bytes and back. It may be used from any goroutine. Equal values must give equal
// bytes if they are keys: the bytes decide which records belong together.
type Codec[T any] interface {
	// Encode appends the value to buf, which it may neither keep nor change before its end.
	Encode(buf []byte, value T) ([]byte, error)
	// Decode reads what Encode wrote, or what somebody else did. It must copy what it keeps of data, and return an
	// error, never panic, for bytes it does not understand.
	Decode(data []byte) (T, error)
}

// JSON writes values as encoding/json does, but leaves <, > and & as they are, so that a key has the bytes that programs
// in other languages write. What encoding/json does not keep is not kept here either: null is read as the zero value, a
// number into an any as a float64 (give it a field of type int64 or json.Number), and text that is not UTF-8 is replaced.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Encode(buf []byte, value T) ([]byte, error) {
	out := bytes.NewBuffer(buf)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("write json: %w", err)
	}
	return out.Bytes()[:out.Len()-1], nil // without the end of the line
}

func (jsonCodec[T]) Decode(data []byte) (value T, err error) {
	if err := json.Unmarshal(data, &value); err != nil {
		return value, fmt.Errorf("read json: %w", err)
	}
	return value, nil
}

func (jsonCodec[T]) format() record.Format { return record.JSON }

// String writes text as it is.
func String() Codec[string] { return stringCodec{} }

type stringCodec struct{}

func (stringCodec) Encode(buf []byte, value string) ([]byte, error) {
	return append(buf, value...), nil
}
func (stringCodec) Decode(data []byte) (string, error) { return string(data), nil }

func (stringCodec) format() record.Format { return record.Text }

// Raw takes bytes as they are.
func Raw() Codec[[]byte] { return rawCodec{} }

type rawCodec struct{}

func (rawCodec) Encode(buf, value []byte) ([]byte, error)   { return append(buf, value...), nil }
func (rawCodec) Decode(data []byte) (value []byte, _ error) { return bytes.Clone(data), nil }

// Int64 writes eight bytes, big end first, as Kafka's long serializer does.
func Int64() Codec[int64] { return int64Codec{} }

type int64Codec struct{}

func (int64Codec) format() record.Format { return record.Int64 }

func (int64Codec) Encode(buf []byte, value int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(buf, uint64(value)), nil
}

func (int64Codec) Decode(data []byte) (int64, error) {
	if len(data) != 8 {
		return 0, fmt.Errorf("read int64: want 8 bytes, have %d", len(data))
	}
	return int64(binary.BigEndian.Uint64(data)), nil
}

// Float64 writes eight bytes, big end first, as Kafka's double serializer does.
func Float64() Codec[float64] { return float64Codec{} }

type float64Codec struct{}

func (float64Codec) format() record.Format { return record.Float64 }

func (float64Codec) Encode(buf []byte, value float64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(buf, math.Float64bits(value)), nil
}

func (float64Codec) Decode(data []byte) (float64, error) {
	if len(data) != 8 {
		return 0, fmt.Errorf("read float64: want 8 bytes, have %d", len(data))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(data)), nil
}

// Use makes a codec the one for its type wherever the topology needs one and neither the stream nor an option brings
// one: after an operator that gives records keys or values of another type. string, int64, float64 and []byte need no
// Use.
func Use[T any](t *Topology, c Codec[T]) {
	if c == nil {
		t.problem(CodeValueInvalid, "", "give it a codec, or leave it out", "use a codec for %s: it is nil", reflect.TypeFor[T]())
		return
	}
	t.codecs[reflect.TypeFor[T]()] = c
}

// known is the codec of a type as far as the topology knows one, else nil.
func known[T any](t *Topology) Codec[T] {
	if c, ok := t.codecs[reflect.TypeFor[T]()]; ok {
		return c.(Codec[T])
	}
	var zero T
	var c any
	switch any(zero).(type) {
	case string:
		c = String()
	case int64:
		c = Int64()
	case float64:
		c = Float64()
	case []byte:
		c = Raw()
	default:
		return nil
	}
	return c.(Codec[T])
}

// same says whether two codecs certainly write the same bytes.
func same(a, b any) bool {
	if a == nil || b == nil {
		return false
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// encode never returns nil, which would mean that there is no key or value.
func encode[T any](c Codec[T], value T) ([]byte, error) {
	data, err := c.Encode(nil, value)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}
