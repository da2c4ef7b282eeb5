package component

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// DefineBolt makes a bolt's Definition from its settings type C.
func DefineBolt[C any](spec Spec, check func(*C) []Problem, open func(*C, Env) (Bolt, error)) Definition {
	spec.Kind = KindBolt
	d := define[C](spec, check)
	d.NewBolt = func(config any, env Env) (Bolt, error) { return open(config.(*C), env) }
	return d
}

// DefineProcessor makes the Definition of a bolt with state from its settings type C.
func DefineProcessor[C any](spec Spec, check func(*C) []Problem, shape func(*C) Shape, open func(*C, Env) (processor.Processor, error)) Definition {
	spec.Kind = KindBolt
	d := WithShape(define[C](spec, check), shape)
	d.NewProcessor = func(config any, env Env) (processor.Processor, error) { return open(config.(*C), env) }
	return d
}

// WithShape adds what the planner must know of a bolt.
func WithShape[C any](d Definition, shape func(*C) Shape) Definition {
	d.Shape = func(config any) Shape { return shape(config.(*C)) }
	return d
}

// DefineSpout makes a spout's Definition from its settings type C.
func DefineSpout[C any](spec Spec, check func(*C) []Problem, open func(*C, Env) (Spout, error)) Definition {
	spec.Kind = KindSpout
	d := define[C](spec, check)
	d.NewSpout = func(config any, env Env) (Spout, error) { return open(config.(*C), env) }
	return d
}

// DefineSink makes a sink's Definition from its settings type C.
func DefineSink[C any](spec Spec, check func(*C) []Problem, open func(*C, Env) (Sink, error)) Definition {
	spec.Kind = KindSink
	d := define[C](spec, check)
	d.NewSink = func(config any, env Env) (Sink, error) { return open(config.(*C), env) }
	return d
}

// WithPorts adds the names of outputs that depend on the settings.
func WithPorts[C any](d Definition, ports func(*C) []string) Definition {
	d.Ports = func(config any) []string { return ports(config.(*C)) }
	return d
}

// WithUses adds the services that settings refer to.
func WithUses[C any](d Definition, uses func(*C) []string) Definition {
	d.Uses = func(config any) []string { return uses(config.(*C)) }
	return d
}

// WithFormat adds what the records of a spout hold, or those that a bolt makes.
func WithFormat[C any](d Definition, format func(*C) record.Format) Definition {
	d.Format = func(config any) record.Format { return format(config.(*C)) }
	return d
}

// WithTimes adds whether settings take the times of records out of what these hold.
func WithTimes[C any](d Definition, times func(*C) bool) Definition {
	d.Times = func(config any) bool { return times(config.(*C)) }
	return d
}

func define[C any](spec Spec, check func(*C) []Problem) Definition {
	d := Definition{Spec: spec, NewConfig: func() any { return new(C) }}
	if check != nil {
		d.Check = func(config any) []Problem { return check(config.(*C)) }
	}
	return d
}
