package expr

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// Environment is the language with further variables and functions. It is safe for concurrent use as far as its
// functions are.
type Environment struct{ env *cel.Env }

// NewEnvironment adds to the bare language, without a record.
func NewEnvironment(options ...cel.EnvOption) (*Environment, error) {
	return extended(languageEnv, options)
}

// NewRecordEnvironment adds to the language over records.
func NewRecordEnvironment(options ...cel.EnvOption) (*Environment, error) {
	return extended(recordEnv, options)
}

func extended(base func() (*cel.Env, error), options []cel.EnvOption) (*Environment, error) {
	env, err := base()
	if err != nil {
		return nil, err
	}
	if env, err = env.Extend(options...); err != nil {
		return nil, err
	}
	return &Environment{env}, nil
}

// Compile prepares an expression of the environment. Its Input needs the values of the further variables: see Use.
func (e *Environment) Compile(src string, want Kind) (*Program, []Problem) {
	return compile(e.env, src, want)
}

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
