// Package logger is the bolt "log": it writes records to raven's log and passes them on unchanged.
//
// An instance is used by one goroutine at a time, as package component says of bolts that do not block. What is written
// is bounded in length and quoted, since it comes from strangers.
package logger

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed logger.md
var doc string

// MaxLimit is the most bytes of a value that a line may show.
const MaxLimit = 64 << 10

// maxKey is the most bytes of a key that a line shows.
const maxKey = 200

// Config is the settings of the bolt.
type Config struct {
	Every   int    `yaml:"every" default:"1" doc:"Logs each n-th record; 1 logs all." example:"1000"`
	Message string `yaml:"message" doc:"Expression for what is logged; empty logs the value." example:"event.userId + \" \" + event.kind"`
	Level   string `yaml:"level" default:"info" enum:"debug|info|warn" doc:"Level of the line."`
	Limit   int    `yaml:"limit" default:"1000" doc:"Most bytes of the message or value that a line shows."`
}

// Definition is the component.
func Definition() component.Definition {
	return component.DefineBolt(component.Spec{
		Name:    "log",
		Summary: "Writes records to the log and passes them on unchanged.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "Every record", YAML: "log: {}"},
			{Title: "A few fields of each thousandth", YAML: `log: {every: 1000, message: '{"user": event.userId, "kind": event.kind}', level: debug}`},
		},
	}, validate, open)
}

func validate(c *Config) []component.Problem {
	var problems []component.Problem
	if c.Every < 0 {
		problems = append(problems, component.Problem{Path: "every", Code: "value-invalid", Message: fmt.Sprintf("read every \"%d\": want 1 or more", c.Every)})
	}
	if c.Limit < 0 || c.Limit > MaxLimit {
		problems = append(problems, component.Problem{Path: "limit", Code: "value-invalid", Message: fmt.Sprintf("read limit \"%d\": want 1 to %d", c.Limit, MaxLimit)})
	}
	if _, ok := levels[c.Level]; !ok {
		problems = append(problems, component.Problem{Path: "level", Code: "value-invalid", Message: fmt.Sprintf("read level %q: want debug, info or warn", c.Level)})
	}
	if c.Message != "" {
		problems = append(problems, check.Expression("message", c.Message, expr.Any)...)
	}
	return problems
}

var levels = map[string]slog.Level{"": slog.LevelInfo, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn}

type bolt struct {
	log     *slog.Logger
	level   slog.Level
	every   int
	limit   int
	message *expr.Program // nil logs the value
	seen    int           // records since the last line
	in      expr.Input
}

func open(c *Config, env component.Env) (component.Bolt, error) {
	b := &bolt{log: env.Log, level: levels[c.Level], every: max(c.Every, 1), limit: c.Limit}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.limit <= 0 {
		b.limit = 1000
	}
	if c.Message != "" {
		program, problems := expr.Compile(c.Message, expr.Any)
		if problems != nil {
			return nil, fmt.Errorf("open log: %s", problems[0].Message)
		}
		b.message = program
	}
	return b, nil
}

// Process implements component.Bolt. The first record of a start is logged, so that one sees something at once.
func (b *bolt) Process(ctx context.Context, r *record.Record, emit component.Emit) error {
	if b.seen == 0 && b.log.Enabled(ctx, b.level) {
		b.log.LogAttrs(ctx, b.level, "record", slog.String("key", cut(r.Key, maxKey)), slog.String("origin", r.Origin.String()), b.content(r))
	}
	b.seen = (b.seen + 1) % b.every
	emit(0, r)
	return nil
}

func (b *bolt) content(r *record.Record) slog.Attr {
	if b.message == nil {
		return slog.String("value", cut(r.Value, b.limit))
	}
	b.in.Reset(r)
	defer b.in.Reset(nil)
	out, _, err := b.message.AppendJSON(nil, &b.in)
	if err != nil {
		return slog.String("error", cut([]byte(err.Error()), b.limit))
	}
	return slog.String("message", cut(out, b.limit))
}

// cut shows at most limit bytes, whole characters only; what is not text is shown by its length.
func cut(b []byte, limit int) string {
	head := b[:min(len(b), limit)]
	for len(head) < len(b) && len(head) > 0 && !utf8.RuneStart(b[len(head)]) {
		head = head[:len(head)-1]
	}
	switch {
	case !utf8.Valid(head):
		return fmt.Sprintf("(%d bytes)", len(b))
	case len(head) < len(b):
		return fmt.Sprintf("%s… (%d bytes)", head, len(b))
	}
	return string(head)
}
