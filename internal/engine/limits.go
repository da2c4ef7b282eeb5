package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
)

// limits is what a topic takes, as the log has it. A record that it does not take must become a dead letter before it is
// written: the broker's refusal would fail the transaction, and every transaction after it.
type limits struct {
	bytes  int32         // of a record
	behind time.Duration // of a record's time, from now
	ahead  time.Duration
	anyAge bool // the topic gives records the time at which they arrive
}

// The settings of a topic that limit records.
const (
	settingBytes  = "max.message.bytes"
	settingBehind = "message.timestamp.before.max.ms"
	settingAhead  = "message.timestamp.after.max.ms"
	settingApart  = "message.timestamp.difference.max.ms" // both of them, before Kafka 4
	settingStamp  = "message.timestamp.type"
)

// defaultLimits is what a topic takes if it says nothing else: Kafka's defaults.
var defaultLimits = limits{bytes: 1_000_012, behind: math.MaxInt64, ahead: time.Hour}

// limitsOf reads a topic's settings. Where the log does not say how far ahead a time may be it is older than that limit.
func limitsOf(config map[string]string) limits {
	l := defaultLimits
	if n, err := strconv.ParseInt(config[settingBytes], 10, 32); err == nil {
		l.bytes = int32(n)
	}
	if len(config) > 0 {
		apart := distance(config[settingApart])
		l.behind, l.ahead = min(distance(config[settingBehind]), apart), min(distance(config[settingAhead]), apart)
	}
	l.anyAge = config[settingStamp] == "LogAppendTime"
	return l
}

// distance reads milliseconds; the most that there are means any.
func distance(text string) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > most {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Millisecond
}

// checkSize says whether the topic takes a record of this size.
func (l limits) checkSize(topic string, size int) error {
	if size > int(l.bytes) {
		return fmt.Errorf("write topic %q: a record of %d bytes is above the topic's limit of %d (%s)", topic, size, l.bytes, settingBytes)
	}
	return nil
}

// checkTime says whether the topic takes a record of this time. One without a time gets that of the moment.
func (l limits) checkTime(topic string, at, now time.Time) error {
	if at.IsZero() {
		return nil
	}
	if err := record.CheckTime(at); err != nil {
		return fmt.Errorf("write topic %q: %w", topic, err)
	}
	ahead := at.Sub(now)
	switch {
	case l.anyAge || at.UnixMilli() < 0:
		return nil
	case ahead > l.ahead:
		return wrongTime(topic, at, ahead, "ahead of the clock", l.ahead, settingAhead)
	case -ahead > l.behind:
		return wrongTime(topic, at, -ahead, "behind the clock", l.behind, settingBehind)
	}
	return nil
}

func wrongTime(topic string, at time.Time, far time.Duration, where string, limit time.Duration, setting string) error {
	return fmt.Errorf("write topic %q: the record's time %s is %s %s, the topic takes %s (%s): leave such records out, correct their time, or set the limit higher",
		topic, at.UTC().Format(time.RFC3339), far.Round(time.Second), where, limit, setting)
}

func (e *Engine) setLimits(topics map[string]kafka.TopicInfo) {
	all := make(map[string]limits)
	for _, t := range e.plan.Topics {
		all[t.Name] = limitsOf(topics[t.Name].Config)
	}
	e.limits.Store(&all)
}

func (e *Engine) limitsOf(topic string) limits {
	if all := e.limits.Load(); all != nil {
		if l, ok := (*all)[topic]; ok {
			return l
		}
	}
	return defaultLimits
}

// maxRecord is the largest record that a topic takes.
func (e *Engine) maxRecord(topic string) int32 { return e.limitsOf(topic).bytes }

// maxChange is the largest entry of a store that a changelog takes.
func (e *Engine) maxChange(changelog string) int { return int(e.maxRecord(changelog)) - recordOverhead }

// relearnLimits asks the log again after it has refused a record: what a topic takes may have been changed meanwhile.
func (e *Engine) relearnLimits(ctx context.Context, refusal error) {
	if !errors.Is(refusal, kerr.MessageTooLarge) && !errors.Is(refusal, kerr.InvalidTimestamp) {
		return
	}
	bound, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if topics, err := e.admin.Topics(bound); err == nil {
		e.setLimits(topics)
	} // else the log cannot be reached; the next refusal asks again
}
