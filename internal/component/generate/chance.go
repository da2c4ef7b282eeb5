package generate

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxString is the longest random string.
const maxString = 10_000

// chance is the randomness of one record. Each expression of a record has a stream of its own, so that a new header
// does not change the value.
type chance struct {
	source *rand.PCG
	rand   *rand.Rand
}

func newChance() *chance {
	source := rand.NewPCG(0, 0)
	return &chance{source, rand.New(source)}
}

// begin starts the stream of an expression of a record.
func (c *chance) begin(seed, seq, stream uint64) {
	c.source.Seed(scramble(seed^scramble(stream)), scramble(seq))
}

// scramble spreads neighbouring numbers over the whole range (the last step of SplitMix64), since sequences from
// neighbouring seeds of PCG begin alike.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// options declare the variables and functions of a generator. The functions draw from c, so that a program made with
// them belongs to one spout.
func (c *chance) options() []cel.EnvOption {
	list := cel.ListType(cel.TypeParamType("T"))
	return []cel.EnvOption{
		cel.Variable("seq", cel.IntType),
		cel.Variable("now", cel.TimestampType),
		function("random", nil, cel.DoubleType, c.random),
		function("randomInt", []*cel.Type{cel.IntType, cel.IntType}, cel.IntType, c.randomInt),
		function("pick", []*cel.Type{list}, cel.TypeParamType("T"), c.pick),
		function("zipf", []*cel.Type{cel.IntType, cel.DoubleType}, cel.IntType, c.zipf),
		function("randomString", []*cel.Type{cel.IntType}, cel.StringType, c.randomString),
		function("uuid", nil, cel.StringType, c.uuid),
	}
}

func function(name string, args []*cel.Type, result *cel.Type, f func(...ref.Val) ref.Val) cel.EnvOption {
	options := []cel.OverloadOpt{cel.FunctionBinding(f)}
	switch len(args) {
	case 1:
		options = []cel.OverloadOpt{cel.UnaryBinding(func(a ref.Val) ref.Val { return f(a) })}
	case 2:
		options = []cel.OverloadOpt{cel.BinaryBinding(func(a, b ref.Val) ref.Val { return f(a, b) })}
	}
	return cel.Function(name, cel.Overload("generate_"+name, args, result, options...))
}

func (c *chance) random(...ref.Val) ref.Val { return types.Double(c.rand.Float64()) }

func (c *chance) randomInt(args ...ref.Val) ref.Val {
	lo, hi := int64(args[0].(types.Int)), int64(args[1].(types.Int))
	if lo > hi {
		return types.NewErr("randomInt(%d, %d): the first number is larger than the second", lo, hi)
	}
	span := uint64(hi) - uint64(lo) + 1
	if span == 0 { // the whole range
		return types.Int(c.rand.Uint64())
	}
	return types.Int(uint64(lo) + c.rand.Uint64N(span))
}

func (c *chance) pick(args ...ref.Val) ref.Val {
	list := args[0].(traits.Lister)
	n := int64(list.Size().(types.Int))
	if n == 0 {
		return types.NewErr("pick: the list is empty")
	}
	return list.Get(types.Int(c.rand.Int64N(n)))
}

func (c *chance) zipf(args ...ref.Val) ref.Val {
	n, s := int64(args[0].(types.Int)), float64(args[1].(types.Double))
	if n < 1 || !(s > 1) {
		return types.NewErr("zipf(%d, %v): want at least 1 and a number above 1", n, s)
	}
	return types.Int(rand.NewZipf(c.rand, s, 1, uint64(n-1)).Uint64())
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (c *chance) randomString(args ...ref.Val) ref.Val {
	n := int64(args[0].(types.Int))
	if n < 0 || n > maxString {
		return types.NewErr("randomString(%d): want 0 to %d", n, maxString)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[c.rand.IntN(len(letters))]
	}
	return types.String(b)
}

func (c *chance) uuid(...ref.Val) ref.Val {
	var b [16]byte
	for i := range b {
		b[i] = byte(c.rand.Uint32())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, variant 1
	h := hex.EncodeToString(b[:])
	return types.String(fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
}
