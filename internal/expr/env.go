package expr

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// The environments are made at the first use: it takes milliseconds that a start without expressions need not pay.
var (
	languageEnv = sync.OnceValues(func() (*cel.Env, error) {
		return cel.NewEnv(
			cel.StdLib(),
			ext.Strings(ext.StringsMaxPrecision(64)),
			ext.Math(),
			ext.Encoders(),
			ext.Sets(),
			ext.Lists(ext.ListsMaxRangeSize(10_000)),
			cel.OptionalTypes(),
			cel.CrossTypeNumericComparisons(true),
			cel.DefaultUTCTimeZone(true),
			cel.ParserExpressionSizeLimit(MaxSource),
			cel.ParserRecursionLimit(100),
			cel.RegexProgramSizeLimit(10_000),
		)
	})
	recordEnv = sync.OnceValues(func() (*cel.Env, error) {
		env, err := languageEnv()
		if err != nil {
			return nil, err
		}
		return env.Extend(
			cel.Variable("event", cel.DynType),
			cel.Variable("key", cel.StringType),
			cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
			cel.Variable("topic", cel.StringType),
			cel.Variable("partition", cel.IntType),
			cel.Variable("offset", cel.IntType),
			cel.Variable("time", cel.TimestampType),
		)
	})
)
