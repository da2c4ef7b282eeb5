package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kcat drives Debian's kcat, which is librdkafka.
type kcat struct{ *session }

var kcatVersion = regexp.MustCompile(`Version (\S+) .*librdkafka (\S+)`)

func runKcat(ctx context.Context, s *session) error {
	out, err := command(ctx, inside(s.dir, "kcat", "-V"))
	if err != nil {
		return err
	}
	if m := kcatVersion.FindStringSubmatch(oneLine(out)); m != nil {
		s.version = m[1] + " (librdkafka " + m[2] + ")"
	}
	k := kcat{s}
	k.step(ctx, "list brokers and topics", k.list)
	k.step(ctx, "create a topic by producing to it", k.create)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		k.step(ctx, "produce and consume, "+codec, k.codec(codec))
	}
	k.step(ctx, "headers, keys and null values", k.parts)
	k.step(ctx, "idempotent producer", k.idempotent)
	k.step(ctx, "offsets by time, first and last", k.offsets)
	k.step(ctx, "consume from a time", k.fromTime)
	k.step(ctx, "group goes on where it stopped", k.group("range"))
	k.step(ctx, "group with cooperative-sticky", k.group("cooperative-sticky"))
	k.step(ctx, "transactional producer", k.transaction)
	k.step(ctx, "metadata of a topic that is not there", k.unknown)
	return nil
}

// run is kcat with its input; what it prints on stderr is its error.
func (k kcat) run(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", k.addr}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = strings.NewReader(input), &out, &errs, time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kcat %s: %w: %s", strings.Join(args, " "), errors.Join(err, ctx.Err()), oneLine(errs.String()))
	}
	return out.String(), nil
}

func (k kcat) topic(name string) string { return k.prefix + "-" + name }

// wantRead compares what the topic holds with want, in no order.
func (k kcat) wantRead(ctx context.Context, topic, form string, want ...string) (string, error) {
	out, err := k.run(ctx, "", "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form+"\n")
	if err != nil {
		return "", err
	}
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return "", fmt.Errorf("read %q, want %q", got, want)
	}
	return fmt.Sprintf("%d records", len(got)), nil
}

func (k kcat) list(ctx context.Context) (string, error) {
	out, err := k.run(ctx, "", "-L")
	if err == nil && !strings.Contains(out, k.addr) {
		err = fmt.Errorf("does not name the broker %s: %s", k.addr, out)
	}
	return "", err
}

func (k kcat) create(ctx context.Context) (string, error) {
	if _, err := k.run(ctx, "a\n", "-P", "-t", k.topic("created")); err != nil {
		return "", err
	}
	out, err := k.run(ctx, "", "-L", "-t", k.topic("created"))
	if err == nil && !strings.Contains(out, `topic "`+k.topic("created")+`" with`) {
		err = fmt.Errorf("is not listed: %s", out)
	}
	return "", err
}

func (k kcat) codec(codec string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var input strings.Builder
		var want []string
		for i := range 1000 {
			line := fmt.Sprintf("%04d %s", i, strings.Repeat("x", 50))
			input.WriteString(line + "\n")
			want = append(want, line)
		}
		topic := k.topic("codec-" + codec)
		if _, err := k.run(ctx, input.String(), "-P", "-t", topic, "-z", codec, "-X", "acks=all"); err != nil {
			return "", err
		}
		return k.wantRead(ctx, topic, "%s", want...)
	}
}

func (k kcat) parts(ctx context.Context) (string, error) {
	topic := k.topic("parts")
	if _, err := k.run(ctx, "key:value\n", "-P", "-t", topic, "-K", ":", "-H", "h1=v1", "-H", "h2"); err != nil {
		return "", err
	}
	if _, err := k.run(ctx, "gone:\n", "-P", "-t", topic, "-K", ":", "-Z"); err != nil { // -Z: an empty value is null
		return "", err
	}
	return k.wantRead(ctx, topic, "%k=%s,%S,%h", "gone=,-1,", "key=value,5,h1=v1,h2=NULL")
}

func (k kcat) idempotent(ctx context.Context) (string, error) {
	topic := k.topic("idempotent")
	if _, err := k.run(ctx, "a\nb\nc\n", "-P", "-t", topic, "-X", "enable.idempotence=true"); err != nil {
		return "", err
	}
	return k.wantRead(ctx, topic, "%s", "a", "b", "c")
}

func (k kcat) offsets(ctx context.Context) (string, error) {
	topic := k.topic("offsets")
	if _, err := k.run(ctx, "a\nb\nc\n", "-P", "-t", topic, "-p", "0"); err != nil {
		return "", err
	}
	later := time.Now().Add(time.Hour).UnixMilli()
	for _, c := range []struct {
		at   int64
		want string
	}{{-2, "offset 0"}, {-1, "offset 3"}, {1, "offset 0"}, {later, "offset -1"}} {
		out, err := k.run(ctx, "", "-Q", "-t", fmt.Sprintf("%s:0:%d", topic, c.at))
		if err != nil {
			return "", err
		}
		if !strings.HasSuffix(strings.TrimSpace(out), c.want) {
			return "", fmt.Errorf("at %d it says %q, want %q", c.at, out, c.want)
		}
	}
	return "", nil
}

func (k kcat) fromTime(ctx context.Context) (string, error) {
	topic := k.topic("from-time")
	if _, err := k.run(ctx, "before\n", "-P", "-t", topic, "-p", "0"); err != nil {
		return "", err
	}
	between := time.Now().Add(2 * time.Millisecond)
	for !time.Now().After(between.Add(2 * time.Millisecond)) {
		continue // milliseconds are all a record knows
	}
	if _, err := k.run(ctx, "after\n", "-P", "-t", topic, "-p", "0"); err != nil {
		return "", err
	}
	out, err := k.run(ctx, "", "-C", "-t", topic, "-o", fmt.Sprintf("s@%d", between.UnixMilli()), "-e", "-q")
	if err == nil && strings.TrimSpace(out) != "after" {
		err = fmt.Errorf("read %q, want %q", out, "after")
	}
	return "", err
}

func (k kcat) group(strategy string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		topic, group := k.topic("group-"+strategy), k.topic("readers-"+strategy)
		for _, c := range []struct{ in, want string }{{"a\nb\nc\n", "a\nb\nc\n"}, {"d\n", "d\n"}} {
			if _, err := k.run(ctx, c.in, "-P", "-t", topic, "-p", "0"); err != nil {
				return "", err
			}
			out, err := k.run(ctx, "", "-G", group, "-q", "-e", "-X", "auto.offset.reset=earliest",
				"-X", "partition.assignment.strategy="+strategy, topic)
			if err != nil {
				return "", err
			}
			if out != c.want {
				return "", fmt.Errorf("read %q, want %q", out, c.want)
			}
		}
		return "", nil
	}
}

func (k kcat) transaction(ctx context.Context) (string, error) {
	topic := k.topic("transaction")
	for _, line := range []string{"a\nb\n", "c\n"} { // twice: the second fences the first
		if _, err := k.run(ctx, line, "-P", "-t", topic, "-p", "0", "-X", "transactional.id="+k.topic("tx")); err != nil {
			return "", err
		}
	}
	return k.wantRead(ctx, topic, "%o %s", "0 a", "1 b", "3 c") // a marker after each
}

func (k kcat) unknown(ctx context.Context) (string, error) {
	out, err := k.run(ctx, "", "-C", "-t", k.topic("nothing"), "-o", "beginning", "-e", "-X", "allow.auto.create.topics=false")
	if err == nil || ctx.Err() != nil {
		return "", fmt.Errorf("no error: %s", out)
	}
	if !strings.Contains(err.Error(), "Unknown topic or partition") {
		return "", err
	}
	return "refused", nil
}
