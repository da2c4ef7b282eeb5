package power

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ravenswood.dev/internal/broker/disk"
)

// bench is a watched directory.
type bench struct {
	t *testing.T
	Account
	disk.FS
}

func newBench(t *testing.T, before func(root string)) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, Account: Account{Root: filepath.Join(dir, "root"), File: filepath.Join(dir, "account"), Grave: filepath.Join(dir, "grave")}}
	b.ok(os.Mkdir(b.Root, 0o750))
	if before != nil {
		before(b.Root)
	}
	b.ok(b.Begin())
	b.watch()
	return b
}

// quick does not wait for a real disk: the account is what is tested.
type quick struct{ disk.FS }

func (q quick) SyncDir(string) error { return nil }

func (q quick) Open(name string, mode disk.Mode) (disk.File, error) {
	f, err := q.FS.Open(name, mode)
	return quickFile{f}, err
}

type quickFile struct{ disk.File }

func (quickFile) Sync() error { return nil }

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// watch begins a life.
func (b *bench) watch() {
	b.t.Helper()
	files, err := b.Watch(quick{disk.OS(b.Root)})
	b.ok(err)
	b.FS = files
}

func (b *bench) write(name, text string, at int64, sync bool) {
	b.t.Helper()
	f, err := b.Open(name, disk.Create)
	b.ok(err)
	_, err = f.WriteAt([]byte(text), at)
	b.ok(err)
	if sync {
		b.ok(f.Sync())
	}
	b.ok(f.Close())
}

// durable writes a file, with its name.
func (b *bench) durable(name, text string) {
	b.t.Helper()
	b.write(name, text, 0, true)
	b.ok(b.SyncDir("."))
}

// left is what is there, by path.
func (b *bench) left() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	b.ok(eachFile(b.Root, func(path string, _ fs.FileInfo) error {
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(b.Root, path)
		all[name] = string(text)
		return err
	}))
	return all
}

// seeds is how often a loss is drawn: every way of one has a fair chance.
const seeds = 24

// outcomes are the states that many losses leave, each after the same life.
func outcomes(t *testing.T, life func(b *bench)) []map[string]string {
	t.Helper()
	var all []map[string]string
	for seed := range uint64(seeds) {
		b := newBench(t, nil)
		life(b)
		_, err := b.Lose(rand.New(rand.NewPCG(seed, 2)))
		b.ok(err)
		left := b.left()
		if !slices.ContainsFunc(all, func(m map[string]string) bool { return maps.Equal(m, left) }) {
			all = append(all, left)
		}
	}
	return all
}

func TestLossOfNames(t *testing.T) {
	for _, c := range []struct {
		name string
		life func(b *bench)
		want []map[string]string // in any order
	}{
		{"all is durable", func(b *bench) { b.durable("a", "old") }, []map[string]string{{"a": "old"}}},
		{"a new name", func(b *bench) { b.write("a", "text", 0, true) }, []map[string]string{{}, {"a": "text"}}},
		{"a new name under a synced directory", func(b *bench) {
			b.ok(b.MkdirAll("d"))
			b.write("d/a", "text", 0, true)
			b.ok(b.SyncDir("."))
			b.ok(b.SyncDir("d"))
		}, []map[string]string{{"d/a": "text"}}},
		{"a directory", func(b *bench) {
			b.ok(b.MkdirAll("d"))
			b.write("d/a", "text", 0, true)
			b.ok(b.SyncDir("d"))
		}, []map[string]string{{}, {"d/a": "text"}}},
		{"a removal", func(b *bench) {
			b.durable("a", "old")
			b.ok(b.Remove("a"))
		}, []map[string]string{{}, {"a": "old"}}},
		{"a removal that is durable", func(b *bench) {
			b.durable("a", "old")
			b.ok(b.Remove("a"))
			b.ok(b.SyncDir("."))
		}, []map[string]string{{}}},
		{"a replacement", func(b *bench) {
			b.durable("a", "old")
			b.durable("tmp", "new")
			b.ok(b.Rename("tmp", "a"))
		}, []map[string]string{{"a": "old", "tmp": "new"}, {"a": "new"}}},
		{"a replacement that is durable", func(b *bench) {
			b.durable("a", "old")
			b.write("tmp", "new", 0, true)
			b.ok(b.Rename("tmp", "a"))
			b.ok(b.SyncDir("."))
		}, []map[string]string{{"a": "new"}}},
		{"a replacement of a file that is new itself", func(b *bench) {
			b.durable("a", "old")
			b.write("tmp", "new", 0, true)
			b.ok(b.Rename("tmp", "a"))
		}, []map[string]string{{"a": "old"}, {"a": "old", "tmp": "new"}, {"a": "new"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outcomes(t, c.life)
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(m map[string]string) bool { return maps.Equal(m, want) }) {
					t.Errorf("never %v", want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestLossOfBytes(t *testing.T) {
	text := strings.Repeat("x", 3000)
	for _, c := range []struct {
		name    string
		life    func(b *bench)
		durable string // what must begin the file
		ends    bool   // and end it
	}{
		{"synced", func(b *bench) { b.durable("a", text) }, text, true},
		{"a tail behind what was synced", func(b *bench) {
			b.durable("a", text)
			b.write("a", text, 3000, false)
		}, text, false},
		{"never synced", func(b *bench) {
			b.write("a", text, 0, false)
			b.ok(b.SyncDir("."))
		}, "", false},
		{"cut off and written anew", func(b *bench) {
			b.durable("a", text)
			f, err := b.Open("a", disk.Write)
			b.ok(err)
			b.ok(f.Truncate(100))
			b.ok(f.Close())
			b.write("a", text, 100, false)
		}, text[:100], false},
		{"synced through another handle", func(b *bench) {
			b.write("a", text, 0, false)
			f, err := b.Open("a", disk.Write)
			b.ok(err)
			b.ok(f.Sync())
			b.ok(f.Close())
			b.ok(b.SyncDir("."))
		}, text, true},
		{"of a file under its new name", func(b *bench) {
			b.write("tmp", text, 0, false)
			b.ok(b.Rename("tmp", "a"))
			b.ok(b.SyncDir("."))
		}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outcomes(t, c.life)
			for _, left := range got {
				if !strings.HasPrefix(left["a"], c.durable) {
					t.Fatalf("lost what was synced: %d bytes are left", len(left["a"]))
				}
			}
			if whole := len(got) == 1; whole != c.ends {
				t.Errorf("%d different ends", len(got))
			}
		})
	}
}

func TestLossDamagesSectorsToo(t *testing.T) {
	var zeros, junk, cut int
	for _, left := range outcomes(t, func(b *bench) {
		b.durable("a", strings.Repeat("x", 100))
		b.write("a", strings.Repeat("x", 2000), 100, false)
	}) {
		a := left["a"]
		switch rest := strings.Trim(a, "x"); {
		case len(a) < 2100:
			cut++
		case strings.Trim(rest, "x\x00") == "" && rest != "":
			zeros++
		case rest != "":
			junk++
		}
	}
	if zeros == 0 || junk == 0 || cut == 0 {
		t.Errorf("zeroed %d, overwritten %d, cut %d", zeros, junk, cut)
	}
}

func TestWhatALossLeavesIsDurable(t *testing.T) {
	b := newBench(t, func(root string) {
		if err := os.WriteFile(filepath.Join(root, "before"), []byte("b"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	b.write("a", "1234567890", 0, false)
	_, err := b.Lose(rand.New(rand.NewPCG(1, 1)))
	b.ok(err)
	want := b.left()
	for seed := range uint64(20) {
		b.watch()
		if _, err := b.Open("missing", disk.Write); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		_, err = b.Lose(rand.New(rand.NewPCG(seed, 1)))
		b.ok(err)
		if got := b.left(); !maps.Equal(got, want) || got["before"] != "b" {
			t.Fatalf("left %v, before %v", got, want)
		}
	}
}

// TestAKillBetweenEntryAndChange: a change of names is noted before it is made, and may not be made.
func TestAKillBetweenEntryAndChange(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t, nil)
		b.durable("a", "old")
		b.durable("tmp", "new")
		w := b.FS.(*watched)
		b.ok(w.noteName(entry{Kind: renamed, Inode: inodeAt(w.full("tmp")), Dir: ".", From: "tmp", Name: "a"}))
		b.ok(w.noteName(entry{Kind: removed, Inode: inodeAt(w.full("a")), Dir: ".", Name: "a"}))
		b.ok(w.noteName(entry{Kind: made, Dir: ".", Name: "d"}))
		_, err := b.Lose(rand.New(rand.NewPCG(seed, 1)))
		b.ok(err)
		if got := b.left(); !maps.Equal(got, map[string]string{"a": "old", "tmp": "new"}) {
			t.Fatalf("left %v", got)
		}
	}
}

func TestLossIsTheSameForASeed(t *testing.T) {
	draw := func() Losses {
		b := newBench(t, nil)
		for _, name := range []string{"a", "b", "c", "d"} {
			b.write(name, strings.Repeat(name, 5000), 0, name == "b")
		}
		losses, err := b.Lose(rand.New(rand.NewPCG(4, 4)))
		b.ok(err)
		return losses
	}
	if first := draw(); first != draw() || first.Bytes == 0 {
		t.Errorf("another loss: %+v", first)
	}
}

func TestADamagedAccountIsAnError(t *testing.T) {
	b := newBench(t, nil)
	b.ok(os.WriteFile(b.File, []byte("{\"kind\":"), 0o600))
	if _, err := b.Lose(rand.New(rand.NewPCG(1, 1))); err == nil {
		t.Error("no error")
	}
}
