package expr

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// Input is one record as expressions see it. Its zero value is ready for Reset. It must not be used by two goroutines
// at a time.
type Input struct {
	r       *record.Record
	object  document.Object
	indexed bool    // object holds the index of r's value
	event   ref.Val // r's value once it was asked for
	root    objectValue
	further cel.Activation

	// known is the larger parts of the value that were handed out, by their first byte: a loop that looks at the same
	// list in each round must not read it each time.
	known map[*byte]ref.Val

	// literals remembers how the decimals handed out during an evaluation are written, so that one that comes through
	// unchanged is written the same way: doubles alone would turn 1.10 into 1.1.
	literals []literal
	// limit is the length at which what is being written is too large.
	limit int
	// beyond is the last number handed out that 64 bits cannot hold: the likely cause of an error.
	beyond string
}

type literal struct {
	value float64
	raw   []byte
}

const maxLiterals = 64

// What is worth remembering in known, and how much of it.
const (
	knownBytes = 256
	maxKnown   = 1000
)

// Reset points the input at another record, nil for none. The record's value must not change while it is in use.
func (in *Input) Reset(r *record.Record) {
	in.r, in.event, in.indexed = r, nil, false
	clear(in.known)
}

// Use gives the variables of an Environment that are not the record's. They stay through every Reset.
func (in *Input) Use(further cel.Activation) { in.further = further }

// Object returns the index of the record's value, for edits that follow; the error says why it has none. It is valid
// until the next Reset.
func (in *Input) Object() (*document.Object, error) {
	if !in.indexed {
		if err := in.object.Read(in.r.Value); err != nil {
			return nil, err
		}
		in.indexed = true
	}
	return &in.object, nil
}

// begin starts an evaluation that appends to dst.
func (in *Input) begin(dst []byte) {
	in.literals, in.beyond, in.limit = in.literals[:0], "", len(dst)+MaxResult
}

// Parent implements cel.Activation.
func (in *Input) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (in *Input) ResolveName(name string) (any, bool) {
	if in.r != nil {
		if v, ok := in.recordValue(name); ok {
			return v, true
		}
	}
	if in.further != nil {
		return in.further.ResolveName(name)
	}
	return nil, false
}

func (in *Input) recordValue(name string) (ref.Val, bool) {
	switch name {
	case "event":
		return in.eventValue(), true
	case "key":
		return types.String(validText(in.r.Key)), true
	case "headers":
		return headerMap{in.r}, true
	case "topic":
		return types.String(in.r.Origin.Topic), true
	case "partition":
		return types.Int(in.r.Origin.Partition), true
	case "offset":
		return types.Int(in.r.Origin.Offset), true
	case "time":
		return types.Timestamp{Time: in.r.Time}, true
	}
	return nil, false
}

func (in *Input) eventValue() ref.Val {
	if in.event == nil {
		in.event = in.readEvent()
	}
	return in.event
}

func (in *Input) readEvent() ref.Val {
	v := in.r.Value
	switch {
	case v == nil:
		return types.NullValue
	case in.r.Format == record.Text:
		return types.String(validText(v))
	case in.r.Format == record.Raw, in.r.Format == record.Int64, in.r.Format == record.Float64:
		return types.Bytes(v)
	}
	raw := trim(v)
	if document.KindOf(raw) != document.KindObject {
		return in.value(raw)
	}
	if _, err := in.Object(); err != nil {
		return types.WrapErr(err)
	}
	in.root = objectValue{in: in, raw: raw, index: &in.object}
	return &in.root
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

func validText(b []byte) string { return strings.ToValidUTF8(string(b), string(utf8.RuneError)) }

// value is a piece of the document as CEL sees it.
func (in *Input) value(raw []byte) ref.Val {
	if len(raw) < knownBytes {
		return in.read(raw)
	}
	v, ok := in.known[&raw[0]]
	if !ok {
		v = in.read(raw)
		in.remember(raw, v)
	}
	return v
}

func (in *Input) remember(raw []byte, v ref.Val) {
	if in.known == nil {
		in.known = make(map[*byte]ref.Val)
	}
	if len(in.known) < maxKnown {
		in.known[&raw[0]] = v
	}
}

func (in *Input) read(raw []byte) ref.Val {
	switch document.KindOf(raw) {
	case document.KindObject:
		return &objectValue{in: in, raw: raw}
	case document.KindList:
		return &listValue{in: in, raw: raw}
	case document.KindString:
		s, err := document.Text(raw)
		if err != nil {
			return types.WrapErr(err)
		}
		return types.String(s)
	case document.KindBool:
		return types.Bool(raw[0] == 't')
	case document.KindNull:
		return types.NullValue
	case document.KindNumber:
		return in.number(raw)
	}
	return types.NewErr("the event is not JSON")
}

func (in *Input) number(raw []byte) ref.Val {
	s := string(raw)
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(f, 0) {
			return in.tooBig(raw)
		}
		if len(in.literals) < maxLiterals {
			in.literals = append(in.literals, literal{f, raw})
		}
		return types.Double(f)
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(u)
	}
	return in.tooBig(raw)
}

func (in *Input) tooBig(raw []byte) ref.Val {
	in.beyond = string(raw)
	return numberBeyond{raw}
}

// written returns how the event writes a decimal that has come through an expression.
func (in *Input) written(f float64) (raw []byte, ok bool) {
	for i := len(in.literals) - 1; i >= 0; i-- {
		if math.Float64bits(in.literals[i].value) == math.Float64bits(f) {
			return in.literals[i].raw, true
		}
	}
	return nil, false
}
