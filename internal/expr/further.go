package expr

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// Value makes a variable of bytes that are not the record's, as event is made of those that are: see Use. Nil is null. It
// is of this input, so that its numbers come out as they are written; after the next Reset it must not be used any more.
func (in *Input) Value(b []byte, f record.Format) ref.Val {
	switch {
	case b == nil:
		return types.NullValue
	case f == record.Text:
		return types.String(validText(b))
	case f == record.Raw, f == record.Int64, f == record.Float64:
		return types.Bytes(b)
	}
	raw := trim(b)
	if document.KindOf(raw) == document.KindMissing {
		return types.NewErr("the value is not JSON")
	}
	return in.value(raw)
}
