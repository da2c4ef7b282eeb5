package broker_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// kcat runs the foreign client, from Debian's package of that name, against a broker.
type kcat struct {
	t    *testing.T
	path string
	addr string
}

func newKcat(t *testing.T) kcat {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil && os.Getenv("RAVEN_REQUIRE_KCAT") == "1" {
		t.Fatal("RAVEN_REQUIRE_KCAT=1 and there is no kcat: apt-get install kcat")
	}
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no kcat (apt-get install kcat)")
	}
	return kcat{t: t, path: path, addr: start(t, options(t.TempDir())).Addr()}
}

func (k kcat) run(stdin string, args ...string) string {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), "timeout", append([]string{"30", k.path, "-b", k.addr}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		k.t.Fatalf("kcat %s: %v after %s: %s", strings.Join(args, " "), err, time.Since(begun).Round(time.Millisecond), problems.String())
	}
	return out.String()
}

// consume reads a topic from its beginning to its end.
func (k kcat) consume(topic, form string) []string {
	k.t.Helper()
	out := k.run("", "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form+"\n")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

func TestKcatListsProducesAndConsumes(t *testing.T) {
	t.Parallel()
	k := newKcat(t)
	createTopic(t, k.addr, "events", 3)
	if out := k.run("", "-L"); !strings.Contains(out, k.addr) || !strings.Contains(out, `topic "events" with 3 partitions`) {
		t.Fatalf("kcat -L says %s", out)
	}
	var input strings.Builder
	var want []string
	for i := range 1000 {
		fmt.Fprintf(&input, "key%03d:value %d\n", i, i)
		want = append(want, fmt.Sprintf("key%03d=value %d h=v", i, i))
	}
	k.run(input.String(), "-P", "-t", "events", "-K", ":", "-H", "h=v", "-X", "acks=all", "-X", "enable.idempotence=true")
	if got := k.consume("events", "%k=%s %h"); !slices.Equal(got, want) {
		t.Fatalf("kcat read %d records, the first %q", len(got), got[0])
	}
}

func TestKcatCodecs(t *testing.T) {
	t.Parallel()
	k := newKcat(t)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			topic := "codec-" + codec // made by using it
			k.run("a\nb\nc\n", "-P", "-t", topic, "-z", codec)
			if got := k.consume(topic, "%s"); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Fatalf("kcat read %q", got)
			}
			if got := read(t, k.addr, topic); len(got) != 3 || got["b"] != 1 {
				t.Fatalf("we read %v", got)
			}
		})
	}
}

func TestKcatGroupGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	k := newKcat(t)
	createTopic(t, k.addr, "events", 2)
	group := func() int {
		out := k.run("", "-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "events")
		return strings.Count(out, "\n")
	}
	k.run("a\nb\nc\n", "-P", "-t", "events")
	if n := group(); n != 3 {
		t.Fatalf("first read %d records", n)
	}
	k.run("d\n", "-P", "-t", "events")
	if n := group(); n != 1 {
		t.Fatalf("then read %d records", n)
	}
}

// TestKcatSeesCommittedRecordsOnly also produces with a transactional producer of another make.
func TestKcatSeesCommittedRecordsOnly(t *testing.T) {
	t.Parallel()
	k := newKcat(t)
	createTopic(t, k.addr, "events", 1)
	k.run("a\nb\n", "-P", "-t", "events", "-X", "transactional.id=kcat")
	if got := read(t, k.addr, "events"); len(got) != 2 {
		t.Fatalf("we read %v", got)
	}
	if got := k.run("", "-Q", "-t", "events:0:-1"); !strings.Contains(got, "events [0] offset 3") { // with the marker
		t.Fatalf("kcat -Q says %q", got)
	}
}
