package disk

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestMemoryIsWhatATwinSays compares a Memory, killed now and then, with a map.
func TestMemoryIsWhatATwinSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, twin := NewMemory(), map[string]string{}
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		change := func(f func(file File, old string) (string, error)) {
			n := name.Draw(t, "name")
			file, err := m.Open(n, Create)
			noError(t, err)
			now, err := f(file, twin[n])
			noError(t, err)
			twin[n] = now
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				b := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "bytes")
				at := rapid.IntRange(0, 20).Draw(t, "at")
				change(func(file File, old string) (string, error) {
					_, err := file.WriteAt(b, int64(at))
					return overwritten(old, at, string(b)), err
				})
			},
			"truncate": func(t *rapid.T) {
				size := rapid.IntRange(0, 30).Draw(t, "size")
				change(func(file File, old string) (string, error) {
					return resized(old, size), file.Truncate(int64(size))
				})
			},
			"sync": func(t *rapid.T) {
				change(func(file File, old string) (string, error) { return old, file.Sync() })
				noError(t, m.SyncDir("."))
			},
			"rename": func(t *rapid.T) {
				from, to := name.Draw(t, "from"), name.Draw(t, "to")
				text, there := twin[from]
				if err := m.Rename(from, to); (err == nil) != there {
					t.Fatalf("rename %s: %v", from, err)
				}
				if there {
					delete(twin, from)
					twin[to] = text
				}
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, there := twin[n]
				if err := m.Remove(n); (err == nil) != there {
					t.Fatalf("remove %s: %v", n, err)
				}
				delete(twin, n)
			},
			"kill": func(*rapid.T) { m = m.Kill() },
			"": func(t *rapid.T) {
				got, err := all(m)
				noError(t, err)
				if !maps.Equal(got, twin) {
					t.Fatalf("memory has %q, the twin %q", got, twin)
				}
			},
		})
	})
}

// all is the content of all files in the root.
func all(m *Memory) (map[string]string, error) {
	entries, err := m.List(".")
	texts := map[string]string{}
	for _, e := range entries {
		b, err := content(m, e.Name)
		if err != nil {
			return nil, err
		}
		texts[e.Name] = string(b)
	}
	return texts, err
}

func overwritten(old string, at int, text string) string {
	if text == "" {
		return old
	}
	b := []byte(resized(old, max(len(old), at+len(text))))
	copy(b[at:], text)
	return string(b)
}

func resized(old string, size int) string {
	return string(append([]byte(old), make([]byte, 30)...)[:size])
}

func noError(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemoryTellsTheHookOfEachChange(t *testing.T) {
	var told []string
	m := NewMemory()
	m.Hook = func(o Op) {
		told = append(told, fmt.Sprintf("%d %v %s %s %d %v", o.Number, o.Kind, o.Name, o.To, o.Bytes, o.Middle))
	}
	ok(t, m.MkdirAll("d/e"))
	file := open(t, m, "d/a", Create)
	write(t, file, "hello", 0)
	write(t, file, "!", 5)
	ok(t, file.Truncate(3))
	ok(t, file.Sync())
	open(t, m, "d/a", Create)
	is(t, m, "d/a", "hel")
	ok(t, m.Rename("d/a", "d/b"))
	ok(t, m.SyncDir("d"))
	ok(t, m.Remove("d/b"))
	want := []string{
		"1 mkdir d  0 false", "2 mkdir d/e  0 false", "3 create d/a  0 false",
		"4 write d/a  5 false", "5 write d/a  3 true", "6 write d/a  1 false", "7 truncate d/a  3 false",
		"8 sync d/a  0 false", "9 rename d/a d/b 0 false", "10 sync directory d  0 false", "11 remove d/b  0 false",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}

func TestMemoryIsCutInTheMiddleOfAWrite(t *testing.T) {
	m := NewMemory()
	var seen []string
	m.Hook = func(Op) {
		texts, err := all(m.Kill())
		ok(t, err)
		seen = append(seen, fmt.Sprint(texts))
	}
	write(t, open(t, m, "a", Create), "hello", 0)
	if want := []string{"map[]", "map[a:]", "map[a:he]"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q", seen)
	}
}

func TestMemoryIsSafeFromManyGoroutines(t *testing.T) {
	m := NewMemory()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("f%d", i%4)
			for k := range 50 {
				file, err := m.Open("shared", Create)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = file.WriteAt([]byte{byte(k)}, int64(k))
				own, fresh := m.Open(name, Create)
				if err != nil || fresh != nil || own.Sync() != nil || m.SyncDir(".") != nil || file.Close() != nil {
					t.Error(err, fresh)
				}
				_ = m.Rename(name, name+"x") // another may have been faster
				_, _ = m.List(".")
				m.Kill()
			}
		})
	}
	wg.Wait()
	got, err := content(m, "shared")
	ok(t, err)
	for k, b := range got {
		if int(b) != k {
			t.Fatalf("byte %d is %d", k, b)
		}
	}
}
