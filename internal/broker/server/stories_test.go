package server

import (
	"bytes"
	"context"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

// lines is what a server logs.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // GUARDED_BY(mu)
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A story is a server that a test stops and starts as it likes.
type story struct {
	t *testing.T
	direct
	log  *lines
	open bool
}

// tell starts a server on what is there.
func tell(t *testing.T, fs disk.FS, change ...func(*Options)) *story {
	t.Helper()
	log := &lines{}
	o := Options{FS: fs, ReserveBytes: -1, Log: slog.New(slog.NewTextHandler(log, nil))}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	st := &story{t: t, direct: direct{s}, log: log, open: true}
	t.Cleanup(func() {
		if st.open {
			_ = s.Close() // a test that ends in the middle of trouble does not care
		}
	})
	return st
}

// over closes in order.
func (s *story) over() {
	s.t.Helper()
	s.open = false
	ok(s.t, s.s.Close())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *story) create(name string, partitions int32, settings map[string]string) {
	s.t.Helper()
	_, err := s.s.createTopic(context.Background(), name, partitions, settings)
	ok(s.t, err)
}

// put writes batches of one record each and returns the values.
func (s *story) put(to at, values ...string) {
	s.t.Helper()
	for _, v := range values {
		_, err := s.produce(9, "", map[at]sending{to: plainly(v)})
		ok(s.t, err)
	}
}

// has wants exactly these values, as a reader of committed records sees them.
func (s *story) has(of at, want ...string) {
	s.t.Helper()
	got, err := s.values(of)
	ok(s.t, err)
	if !slices.Equal(got, want) {
		s.t.Fatalf("%v has %q, want %q", of, got, want)
	}
}

func (s *story) values(of at) ([]string, error) {
	p := s.s.topics.partition(of.topic, of.partition)
	start := int64(0)
	if p.log != nil {
		start = p.log.Start()
	}
	got, err := s.read(of, start, true)
	var values []string
	for _, r := range got {
		values = append(values, r.value)
	}
	return values, err
}

// says wants a line of the log with all of these in it.
func (s *story) says(parts ...string) {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	s.t.Fatalf("no line of the log has %q:\n%s", parts, s.log)
}

// transaction begins one that writes a value to each partition, and leaves it open.
func (s *story) transaction(id, value string, to ...at) txn.Producer {
	s.t.Helper()
	p, err := s.initProducer(id)
	ok(s.t, err)
	batches := map[at]sending{}
	for _, a := range to {
		batches[a] = sending{producer: p, txn: true, records: []entry{{value: value}}}
	}
	_, err = s.produce(12, id, batches)
	ok(s.t, err)
	return p
}

// files lists a partition's files with one ending, in order.
func files(t *testing.T, fs disk.FS, s *Server, of at, ending string) []string {
	t.Helper()
	dir := path.Join(dirOf(of.topic, s.topics.named(of.topic).id), strconv.Itoa(int(of.partition)))
	entries, err := fs.List(dir)
	ok(t, err)
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ending) {
			names = append(names, path.Join(dir, e.Name))
		}
	}
	return names
}

// edit changes a file as an accident would.
func edit(t *testing.T, fs disk.FS, name string, change func([]byte) []byte) {
	t.Helper()
	f, err := fs.Open(name, disk.Create)
	ok(t, err)
	size, err := f.Size()
	ok(t, err)
	raw := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(raw, 0)
		ok(t, err)
	}
	raw = change(raw)
	ok(t, f.Truncate(int64(len(raw))))
	_, err = f.WriteAt(raw, 0)
	ok(t, err)
	ok(t, f.Sync())
	ok(t, f.Close())
}

// flip changes one byte in the middle.
func flip(raw []byte) []byte {
	raw[len(raw)/2] ^= 0x40
	return raw
}

// soon waits for something that happens by itself.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(5 * time.Millisecond) { // sleep: between two looks
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
