package disk

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// draws are the states after so many losses of power, with how often each was seen.
func draws(t *testing.T, m *Memory, describe func(*Memory) string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for i := range uint64(400) {
		seen[describe(m.PowerLoss(rand.New(rand.NewPCG(1, i))))]++
	}
	return seen
}

// listing names the files of the root.
func listing(t *testing.T) func(*Memory) string {
	return func(m *Memory) string {
		got, err := names(m, ".")
		ok(t, err)
		return strings.Join(got, ", ")
	}
}

// exactly fails unless these states, and no others, were seen.
func exactly(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
}

func durable(t *testing.T, m *Memory, name, text string) File {
	t.Helper()
	file := open(t, m, name, Create)
	write(t, file, text, 0)
	ok(t, file.Sync())
	ok(t, m.SyncDir("."))
	return file
}

func TestPowerLossKeepsWhatWasSynced(t *testing.T) {
	m := NewMemory()
	durable(t, m, "a", "hello")
	exactly(t, draws(t, m, listing(t)), "a 5")
	is(t, m.PowerLoss(rand.New(rand.NewPCG(1, 1))), "a", "hello")
}

func TestPowerLossDropsNames(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, m *Memory)
		want   []string
	}{
		"created, synced, directory not": {
			func(t *testing.T, m *Memory) {
				file := open(t, m, "b", Create)
				write(t, file, "12", 0)
				ok(t, file.Sync())
			}, []string{"a 5", "a 5, b 2"},
		},
		"removed": {
			func(t *testing.T, m *Memory) { ok(t, m.Remove("a")) },
			[]string{"", "a 5"},
		},
		"a rename is whole or not": {
			func(t *testing.T, m *Memory) { ok(t, m.Rename("a", "b")) },
			[]string{"a 5", "b 5"},
		},
		"a file has one name": {
			func(t *testing.T, m *Memory) {
				ok(t, m.Rename("a", "b"))
				ok(t, m.Rename("b", "c"))
			}, []string{"a 5", "b 5", "c 5"},
		},
		"a rename over another is whole or not": {
			func(t *testing.T, m *Memory) {
				durable(t, m, "tmp", "123")
				ok(t, m.Rename("tmp", "a"))
			}, []string{"a 3", "a 5, tmp 3"},
		},
		"the later without the earlier": {
			func(t *testing.T, m *Memory) {
				open(t, m, "b", Create)
				open(t, m, "c", Create)
			}, []string{"a 5", "a 5, b 0", "a 5, c 0", "a 5, b 0, c 0"},
		},
		"a directory with what is in it": {
			func(t *testing.T, m *Memory) {
				ok(t, m.MkdirAll("d"))
				open(t, m, "d/x", Create)
				ok(t, m.SyncDir("d"))
			}, []string{"a 5", "a 5, d/"},
		},
		"nothing, once the directory is synced": {
			func(t *testing.T, m *Memory) {
				ok(t, m.Rename("a", "b"))
				ok(t, m.SyncDir("."))
			}, []string{"b 5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMemory()
			durable(t, m, "a", "hello")
			c.change(t, m)
			exactly(t, draws(t, m, listing(t)), c.want...)
		})
	}
}

func TestPowerLossDropsSectorsInAnyOrder(t *testing.T) {
	m := NewMemory()
	file := durable(t, m, "a", strings.Repeat("o", 1024))
	write(t, file, strings.Repeat("1", 512), 0)
	write(t, file, strings.Repeat("2", 512), 512)
	seen := draws(t, m, func(m *Memory) string {
		b, err := content(m, "a")
		ok(t, err)
		return string(slices.Compact(b))
	})
	for _, want := range []string{"o", "12", "1o", "o2"} {
		if seen[want] == 0 {
			t.Errorf("never %q, but %v", want, seen)
		}
		delete(seen, want)
	}
	for torn := range seen { // a write is torn by the hook's half, which is a write of its own
		if strings.Trim(torn, "o12") != "" {
			t.Errorf("seen %q", torn)
		}
	}
}

func TestPowerLossExtendsWithZerosOrGarbage(t *testing.T) {
	m := NewMemory()
	file := durable(t, m, "a", "hello")
	write(t, file, strings.Repeat("x", 2000), 5)
	seen := draws(t, m, func(m *Memory) string {
		b, err := content(m, "a")
		ok(t, err)
		if !bytes.HasPrefix(b, []byte("hello")) {
			t.Fatalf("lost what was synced: %q", b)
		}
		switch rest := b[5:]; {
		case len(rest) == 0:
			return "lost"
		case len(bytes.Trim(rest, "x")) == 0:
			return "kept"
		case len(bytes.Trim(rest, "x\x00")) == 0:
			return "zeros"
		default:
			return "garbage"
		}
	})
	exactly(t, seen, "lost", "kept", "zeros", "garbage")
}

func TestPowerLossMayUndoATruncate(t *testing.T) {
	m := NewMemory()
	file := durable(t, m, "a", "hello")
	ok(t, file.Truncate(2))
	exactly(t, draws(t, m, listing(t)), "a 2", "a 5")
	ok(t, file.Sync())
	exactly(t, draws(t, m, listing(t)), "a 2")
}

func TestPowerLossAfterAKillLosesWhatTheDeadHadNotSynced(t *testing.T) {
	m := NewMemory()
	write(t, durable(t, m, "a", "hello"), "!", 5)
	open(t, m, "b", Create)
	exactly(t, draws(t, m.Kill(), listing(t)), "a 5", "a 6", "a 5, b 0", "a 6, b 0")
}

func TestWhatACrashLeavesIsIndependent(t *testing.T) {
	m := NewMemory()
	file := durable(t, m, "a", "hello")
	killed, lost := m.Kill(), m.PowerLoss(rand.New(rand.NewPCG(1, 1)))
	write(t, file, "HELLO", 0)
	ok(t, m.Rename("a", "b"))
	is(t, killed, "a", "hello")
	is(t, lost, "a", "hello")
	write(t, open(t, killed, "a", Write), "killed", 0)
	is(t, m, "b", "HELLO")
}

func TestPowerLossIsRepeatable(t *testing.T) {
	m := NewMemory()
	for i := range 20 {
		put(t, m, fmt.Sprintf("f%d", i), strings.Repeat("x", 100*i))
	}
	var first map[string]string
	for range 5 {
		got, err := all(m.PowerLoss(rand.New(rand.NewPCG(3, 4))))
		ok(t, err)
		if first == nil {
			first = got
		}
		if !maps.Equal(got, first) {
			t.Fatal("two draws of one seed differ")
		}
	}
}

// history is what one byte-for-byte observer knows of a file: all its contents since the last sync, oldest first.
type history []string

// allows tells whether a loss of power may leave this.
func (h history) allows(got string) bool {
	return slices.ContainsFunc(h, func(v string) bool { return len(v) == len(got) }) && h.allowsBytes(got)
}

// allowsBytes: a byte is one that was there at some time, or anything where at some time there was none.
func (h history) allowsBytes(got string) bool {
	for i := range len(got) {
		fine := func(v string) bool { return i >= len(v) || v[i] == got[i] }
		if !slices.ContainsFunc(h, fine) {
			return false
		}
	}
	return true
}

// TestPowerLossLeavesOnlyWhatWasThere writes, cuts and syncs one file at random, its name durable.
func TestPowerLossLeavesOnlyWhatWasThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory()
		file, err := m.Open("a", Create)
		noError(t, err)
		noError(t, m.SyncDir("."))
		seen := history{""}
		note := func() {
			b, err := content(m.Kill(), "a")
			noError(t, err)
			seen = append(seen, string(b))
		}
		m.Hook = func(Op) { note() }
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(1, 900).Draw(t, "bytes"))
				_, err := file.WriteAt(b, rapid.Int64Range(0, 1500).Draw(t, "at"))
				noError(t, err)
			},
			"truncate": func(t *rapid.T) { noError(t, file.Truncate(rapid.Int64Range(0, 2000).Draw(t, "size"))) },
			"sync": func(t *rapid.T) {
				noError(t, file.Sync())
				seen = nil
			},
			"": func(t *rapid.T) {
				note()
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				b, err := content(m.PowerLoss(rng), "a")
				noError(t, err)
				if !seen.allows(string(b)) {
					t.Fatalf("%d bytes that never were there", len(b))
				}
			},
		})
	})
}
