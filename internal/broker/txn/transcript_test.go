package txn_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/txn"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts runs the stories in testdata: a line "> command" is a command, the indented lines after it are all that
// was said. Everything else is kept as it is. With -update the answers are rewritten; read the difference.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.story")
	if err != nil || len(files) == 0 {
		t.Fatalf("find stories: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".story"), func(t *testing.T) { transcript(t, file) })
	}
}

func transcript(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := tell(t, string(want))
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	wants, gots := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range gots {
		if i >= len(wants) || wants[i] != gots[i] {
			t.Fatalf("%s:%d: got %q, want %q; all of it:\n%s", file, i+1, gots[i], wants[min(i, len(wants)-1)], got)
		}
	}
	if len(wants) != len(gots) {
		t.Fatalf("%s has %d lines more", file, len(wants)-len(gots))
	}
}

// tell runs a story and returns it with the answers.
func tell(t *testing.T, story string) string {
	n := narrator{T: t, w: newWorld()}
	var b strings.Builder
	for line := range strings.Lines(story) {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		b.WriteString(line)
		if command, ok := strings.CutPrefix(line, "> "); ok {
			for _, said := range n.run(strings.TrimSpace(command)) {
				b.WriteString("    " + said + "\n")
			}
		}
	}
	return b.String()
}

// narrator runs commands: a verb and fields key=value.
type narrator struct {
	*testing.T
	w *world
	f map[string]string
}

func (n *narrator) run(command string) []string {
	words := strings.Fields(command)
	n.f = map[string]string{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		n.f[key] = value
	}
	n.w.said = nil
	var answer string
	if n.w.living(func() { answer = n.do(words[0]) }) {
		answer = "died"
	}
	return append(n.w.said, strings.Split(answer, "\n")...)
}

func (n *narrator) do(verb string) string {
	commands := map[string]func() string{
		"init": n.init, "produce": n.produce, "add": n.add, "verify": n.verify, "addoffsets": n.addOffsets, "offsets": n.offsets,
		"end": n.end, "refused": n.refused, "wait": n.wait, "tick": n.tick, "die": n.die, "restart": n.restart,
		"describe": n.describe, "list": n.list, "log": n.log, "groups": n.groups, "options": n.options, "epoch": n.epoch,
		"forget": n.forget, "open": n.open, "checkpoint": n.checkpoint, "next": n.next, "lose": n.lose,
	}
	f, ok := commands[verb]
	if !ok {
		n.Fatalf("unknown command %q", verb)
	}
	return f()
}

func (n *narrator) number(key string, instead int64) int64 {
	if n.f[key] == "" {
		return instead
	}
	v, err := strconv.ParseInt(n.f[key], 10, 64)
	if err != nil {
		n.Fatal(err)
	}
	return v
}

func (n *narrator) duration(key string, instead time.Duration) time.Duration {
	if n.f[key] == "" {
		return instead
	}
	d, err := time.ParseDuration(n.f[key])
	if err != nil {
		n.Fatal(err)
	}
	return d
}

// producer reads p=id/epoch.
func (n *narrator) producer() txn.Producer {
	p := txn.NoProducer
	if s := n.f["p"]; s != "" {
		if _, err := fmt.Sscanf(s, "%d/%d", &p.ID, &p.Epoch); err != nil {
			n.Fatalf("producer %q: %v", s, err)
		}
	}
	return p
}

// partition reads at=topic-number.
func (n *narrator) partition() txn.TopicPartition {
	topic, number, _ := strings.Cut(n.f["at"], "-")
	i, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		n.Fatal(err)
	}
	return txn.TopicPartition{Topic: topic, Partition: int32(i)}
}

// bump is v=1 for clients whose epoch stays, v=2 (the default) for those whose epoch grows.
func (n *narrator) bump() bool { return n.f["v"] != "1" }

func (n *narrator) init() string {
	p, err := n.w.init(n.f["id"], n.duration("timeout", time.Minute), n.producer())
	return "answer: " + name(err) + " " + producer(p)
}

func (n *narrator) produce() string {
	err := n.w.produce(n.f["id"], n.producer(), n.partition(), int32(n.number("seq", 0)), n.bump(), n.f["r"])
	return "answer: " + name(err)
}

func (n *narrator) add() string {
	fx, err := n.w.c.AddPartitions(n.w.now, n.f["id"], n.producer(), []txn.TopicPartition{n.partition()})
	n.w.carryOut(fx)
	return "answer: " + name(err)
}

func (n *narrator) verify() string {
	return "answer: " + name(n.w.c.VerifyPartitions(n.f["id"], n.producer(), []txn.TopicPartition{n.partition()})[0])
}

func (n *narrator) addOffsets() string {
	fx, err := n.w.c.AddOffsets(n.w.now, n.f["id"], n.producer(), n.f["group"])
	n.w.carryOut(fx)
	return "answer: " + name(err)
}

func (n *narrator) offsets() string {
	return "answer: " + name(n.w.commitOffsets(n.f["id"], n.producer(), n.f["group"], n.bump(), n.f["o"]))
}

func (n *narrator) end() string {
	_, commit := n.f["commit"]
	p, err := n.w.end(n.f["id"], n.producer(), commit, n.bump())
	return "answer: " + name(err) + " " + producer(p)
}

func (n *narrator) refused() string {
	return "answer: " + name(n.w.endRefused(n.f["id"], n.producer(), true, n.bump()))
}

func (n *narrator) wait() string {
	n.w.now = n.w.now.Add(n.duration("for", 0))
	return n.tick()
}

func (n *narrator) tick() string {
	n.w.tick()
	return "ticked"
}

// die makes the next command end the process before its step number in=.
func (n *narrator) die() string {
	n.w.fuse = int(n.number("in", 1))
	return "armed"
}

func (n *narrator) restart() string {
	_, power := n.f["power"]
	missing, err := n.w.restart(power)
	if err != nil {
		n.Fatal(err)
	}
	for _, m := range missing {
		orphan := ""
		if m.Orphan {
			orphan = " (orphan)"
		}
		n.w.say("missing: %s %d/%d in %v from %d%s", result(m.Commit), m.ProducerID, m.Epoch, m.TopicPartition, m.First, orphan)
	}
	return "started"
}

func (n *narrator) describe() string {
	d, err := n.w.c.Describe(n.f["id"])
	if err != nil {
		return "answer: " + name(err)
	}
	return fmt.Sprintf("answer: %v %s timeout %v open %v parts %v groups %v", d.State, producer(d.Producer), d.Timeout, !d.Start.IsZero(), d.Partitions, d.Groups)
}

func (n *narrator) list() string {
	f := txn.Filter{Longer: n.duration("longer", 0), Pattern: n.f["pattern"]}
	if s, ok := txn.ParseState(n.f["state"]); ok {
		f.States = append(f.States, s)
	}
	if id := n.number("producer", -1); id >= 0 {
		f.Producers = append(f.Producers, id)
	}
	all, err := n.w.c.List(n.w.now, f)
	lines := []string{"answer: " + name(err)}
	for _, l := range all {
		lines = append(lines, fmt.Sprintf("%s %d %v", l.ID, l.ProducerID, l.State))
	}
	return strings.Join(lines, "\n")
}

func (n *narrator) log() string {
	var all []string
	for _, s := range n.w.part(n.partition()).log {
		what := s.tag
		if s.raw != nil {
			what = result(mustMarker(s.raw).Commit)
		}
		all = append(all, fmt.Sprintf("%d %d/%d %s", s.h.BaseOffset, s.h.ProducerID, s.h.ProducerEpoch, what))
	}
	return strings.Join(append(all, "end of log"), "\n")
}

func (n *narrator) groups() string {
	g := n.w.group(n.f["group"])
	return fmt.Sprintf("committed %v pending %v", g.committed, g.pending)
}

func (n *narrator) options() string {
	n.w.options = txn.Options{MaxIDs: int(n.number("ids", 0)), MaxTimeout: n.duration("timeout", 0), Expiration: n.duration("expiration", 0)}
	n.w.boot()
	return "set"
}

// epoch puts an id at a producer epoch, as if it had run for long.
func (n *narrator) epoch() string {
	p := n.producer()
	if err := n.w.c.Restore(txn.Entry{
		Version: 1, ID: n.f["id"], State: "CompleteCommit", ProducerID: p.ID, Epoch: p.Epoch, LastEpoch: -1, PreviousID: -1, NextID: -1,
		TimeoutMillis: 60_000, UpdatedMillis: n.w.now.UnixMilli(),
	}); err != nil {
		n.Fatal(err)
	}
	return "set"
}

func (n *narrator) forget() string {
	delete(n.w.parts, n.partition())
	n.w.c.Forget(n.partition().Topic)
	return "forgotten"
}

// open lists what partitions have open.
func (n *narrator) open() string {
	lines := []string{"open:"}
	for _, at := range n.w.partitions() {
		for _, o := range n.w.parts[at].producers.Open() {
			lines = append(lines, fmt.Sprintf("%v %d/%d from %d", at, o.ProducerID, o.Epoch, o.First))
		}
	}
	return strings.Join(lines, "\n")
}

func (n *narrator) checkpoint() string {
	n.w.checkpoint()
	for _, j := range n.w.journal {
		n.w.say("kept: %v", j)
	}
	return "written"
}

func (n *narrator) next() string {
	at, ok := n.w.c.NextTimeout()
	if !ok {
		return "never"
	}
	return "in " + at.Sub(n.w.now).String()
}

// lose empties the journal.
func (n *narrator) lose() string {
	n.w.journal = nil
	return "lost"
}
