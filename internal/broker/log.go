package broker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kfake"
)

// logger passes the broker's own messages on. Its info messages speak of single requests, so they come out as debug.
type logger struct {
	log    *slog.Logger
	errors atomic.Int64 // messages of that level: the only way in which a failed save shows
}

func (l *logger) Logf(level kfake.LogLevel, format string, args ...any) {
	at := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		l.errors.Add(1)
		at = slog.LevelError
	case kfake.LogLevelWarn:
		at = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), at) {
		l.log.Log(context.Background(), at, fmt.Sprintf(format, args...))
	}
}
