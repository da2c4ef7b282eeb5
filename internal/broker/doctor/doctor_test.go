package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

const dir = "topics/orders/0123/0"

// A written batch is where it lies and what it is.
type written struct {
	file   string
	at     int64
	offset int64
	raw    []byte
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func check(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// store makes a log of segments with so many batches each, of two records; the last is the active one. It is closed, or killed.
func store(t tester, closed bool, segments ...int) (*disk.Memory, []written) {
	t.Helper()
	files := disk.NewMemory()
	log := open(t, files)
	var all []written
	for i, n := range segments {
		if i > 0 {
			check(t, log.Roll())
		}
		base, at := log.End(), int64(0)
		for range n {
			raw := encode(log.End(), fmt.Sprint("value ", log.End()))
			h, err := batch.Parse(raw)
			check(t, err)
			all = append(all, written{file: dir + "/" + baseName(base) + ".log", at: at, offset: log.End(), raw: raw})
			check(t, log.Append(h, raw))
			at += int64(len(raw))
		}
	}
	if closed {
		check(t, log.Close())
	}
	return files.Kill(), all
}

func open(t tester, files disk.FS) *commitlog.Log {
	t.Helper()
	log, err := tryOpen(files)
	check(t, err)
	return log
}

func tryOpen(files disk.FS) (*commitlog.Log, error) {
	log, _, err := commitlog.Open(files, dir, commitlog.Options{
		IndexBytes: 100, Tracker: txn.NewProducers(), NewTracker: func() commitlog.Tracker { return txn.NewProducers() },
	})
	return log, err
}

// encode makes a batch of two records without keys.
func encode(base int64, value string) []byte {
	raw := make([]byte, batch.HeaderBytes)
	for i := range 2 {
		body := binary.AppendVarint([]byte{0, 0}, int64(i))
		body = binary.AppendVarint(body, -1)
		body = append(binary.AppendVarint(body, int64(len(value))), value...)
		body = append(body, 0)
		raw = append(binary.AppendVarint(raw, int64(len(body))), body...)
	}
	binary.BigEndian.PutUint64(raw, uint64(base))
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	raw[16] = 2
	binary.BigEndian.PutUint32(raw[23:], 1)
	for _, at := range []int{43, 51} {
		binary.BigEndian.PutUint64(raw[at:], 1<<64-1) // producer, its epoch and the sequence
	}
	binary.BigEndian.PutUint32(raw[57:], 2)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

func change(t tester, files disk.FS, name string, at int64, b ...byte) {
	t.Helper()
	f, err := files.Open(name, disk.Write)
	check(t, err)
	_, err = f.WriteAt(b, at)
	check(t, err)
	check(t, f.Sync())
	check(t, f.Close())
}

func bytesOf(t tester, files disk.FS, name string) []byte {
	t.Helper()
	f, err := files.Open(name, disk.Read)
	check(t, err)
	defer f.Close()
	size, err := f.Size()
	check(t, err)
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%v", err)
	}
	return b
}

func examine(t tester, files disk.FS) Report {
	t.Helper()
	r, err := Examine(context.Background(), Options{Files: files})
	check(t, err)
	return r
}

// offsets reads the whole log and says which batches are there.
func offsets(t tester, log *commitlog.Log) (all []int64) {
	t.Helper()
	for from := log.Start(); ; {
		raw, err := log.Read(nil, from, 1, log.End())
		check(t, err)
		if len(raw) == 0 {
			return all
		}
		h, err := batch.Parse(raw)
		check(t, err)
		if h.Records > 0 {
			all = append(all, h.BaseOffset)
		}
		from = h.Next()
	}
}

func TestASoundLogHasNoFindings(t *testing.T) {
	for _, closed := range []bool{true, false} {
		files, all := store(t, closed, 3, 2, 4)
		r := examine(t, files)
		if len(r.Findings) != 0 || r.Partitions != 1 || r.Segments != 3 || r.Batches != int64(len(all)) || r.Records != 18 {
			t.Errorf("closed %v: %+v", closed, r)
		}
	}
}

func TestDamageIsFoundAndRepaired(t *testing.T) {
	cases := []struct {
		name   string
		damage func(t *testing.T, files disk.FS, all []written)
		what   string // in the sentence about it
		at     int    // batch
		lost   string
		left   []int64
		end    int64
	}{
		{
			"a record in a full segment", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[1].file, all[1].at+70, 'X')
			}, "checksum", 1, "offsets 2 to 3", []int64{0, 4, 6, 8, 10}, 12,
		},
		{
			"a length", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[1].file, all[1].at+8, 0x7f)
			}, "ends inside a batch", 1, "offsets 2 to 3", []int64{0, 4, 6, 8, 10}, 12,
		},
		{
			"a whole header", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[1].file, all[1].at, make([]byte, batch.HeaderBytes)...)
			}, "magic", 1, "offsets 2 to 3", []int64{0, 4, 6, 8, 10}, 12,
		},
		{
			"the first batch of all", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[0].file, 20, 0xff, 0xff)
			}, "", 0, "offsets 0 to 1", []int64{2, 4, 6, 8, 10}, 12,
		},
		{
			"the last batch of a full segment", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[2].file, all[2].at+16, 9)
			}, "magic", 2, "offsets 4 to 5", []int64{0, 2, 6, 8, 10}, 12,
		},
		{
			"a batch of the active segment", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[4].file, all[4].at+70, 'X')
			}, "checksum", 4, "offsets 8 to 9", []int64{0, 2, 4, 6, 10}, 12,
		},
		{
			"the last batch, which was sealed", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[5].file, all[5].at+70, 'X')
			}, "checksum", 5, "offsets 10 to 11", []int64{0, 2, 4, 6, 8}, 12,
		},
		{
			"two batches", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[3].file, all[3].at+70, 'X')
				change(t, files, all[5].file, all[5].at+70, 'X')
			}, "checksum", 3, "offsets 6 to 7", []int64{0, 2, 4, 8}, 12,
		},
		{
			"a whole segment", func(t *testing.T, files disk.FS, all []written) {
				change(t, files, all[0].file, 0, make([]byte, len(all[0].raw)*3)...)
			}, "magic", 0, "offsets 0 to 5", []int64{6, 8, 10}, 12,
		},
		{
			"a segment that was cut off", func(t *testing.T, files disk.FS, all []written) {
				f, err := files.Open(all[2].file, disk.Write)
				check(t, err)
				check(t, errors.Join(f.Truncate(all[2].at+30), f.Sync(), f.Close()))
			}, "ends inside a batch", 2, "offsets 4 to 5", []int64{0, 2, 6, 8, 10}, 12,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files, all := store(t, true, 3, 3)
			c.damage(t, files, all)
			r := examine(t, files)
			i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Severity == Damage })
			if i < 0 {
				t.Fatalf("nothing found: %+v", r)
			}
			f := r.Findings[i]
			if f.File != all[c.at].file || f.Position != all[c.at].at || f.Offset != all[c.at].offset || !strings.Contains(f.What, c.what) {
				t.Errorf("found %+v", f)
			}
			done, err := Repair(t.Context(), Options{Files: files}, "orders", 0)
			check(t, err)
			if len(done) != 1 || len(done[0].Aside) == 0 || len(done[0].Lost) == 0 || done[0].Lost[0].String() != c.lost {
				t.Errorf("repaired %+v, want %s lost", done, c.lost)
			}
			if again := examine(t, files); again.Damaged() != 0 {
				t.Errorf("still damaged: %+v", again.Findings)
			}
			log := open(t, files)
			if got := offsets(t, log); !slices.Equal(got, c.left) || log.End() != c.end {
				t.Errorf("left are %v up to %d, want %v up to %d", got, log.End(), c.left, c.end)
			}
			check(t, log.Close())
			if got := offsets(t, open(t, files)); !slices.Equal(got, c.left) {
				t.Errorf("after another start %v", got)
			}
		})
	}
}

func TestDamagedBytesAreKeptAside(t *testing.T) {
	files, all := store(t, true, 3, 3)
	change(t, files, all[1].file, all[1].at+70, 'X')
	done, err := Repair(t.Context(), Options{Files: files}, "orders", 0)
	check(t, err)
	want := slices.Clone(all[1].raw)
	want[70] = 'X'
	name := fmt.Sprintf("%s.damaged-%d", all[1].file, all[1].at)
	if done[0].Aside[0] != name || string(bytesOf(t, files, name)) != string(want) {
		t.Errorf("%q holds %q", done[0].Aside, bytesOf(t, files, name))
	}
	f := examine(t, files).Findings
	if !slices.ContainsFunc(f, func(f Finding) bool { return f.Severity == Note && f.File == name }) {
		t.Errorf("nobody is told of it: %+v", f)
	}
}

func TestATornEndIsOnlyNoted(t *testing.T) {
	files, all := store(t, false, 2, 2)
	last := all[len(all)-1]
	change(t, files, last.file, last.at+int64(len(last.raw)), encode(8, "half")[:40]...)
	r := examine(t, files)
	if len(r.Findings) != 1 || r.Findings[0].Severity != Note || r.Findings[0].Position != last.at+int64(len(last.raw)) {
		t.Errorf("found %+v", r.Findings)
	}
	before := bytesOf(t, files, last.file)
	if done, err := Repair(t.Context(), Options{Files: files}, "orders", 0); err != nil || len(done) != 0 {
		t.Errorf("repaired %+v, %v", done, err)
	}
	if string(bytesOf(t, files, last.file)) != string(before) {
		t.Error("the file was changed")
	}
}

func TestARecordThatLooksLikeABatchIsNotOne(t *testing.T) {
	files := disk.NewMemory()
	log := open(t, files)
	inner := string(encode(1, "inner"))
	for _, value := range []string{inner, "second"} {
		raw := encode(log.End(), value)
		h, err := batch.Parse(raw)
		check(t, err)
		check(t, log.Append(h, raw))
	}
	check(t, log.Close())
	change(t, files, dir+"/"+baseName(0)+".log", 8, make([]byte, 10)...)
	r := examine(t, files)
	if r.Damaged() != 1 || r.Findings[0].Lost.String() != "offsets 0 to 1" {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestSidecarsAreChecked(t *testing.T) {
	files, all := store(t, true, 2, 2)
	seal := strings.TrimSuffix(all[0].file, ".log") + ".seal"
	change(t, files, seal, 30, 9)
	r := examine(t, files)
	if len(r.Findings) != 1 || r.Findings[0].Severity != Note || r.Findings[0].File != seal {
		t.Errorf("damaged: %+v", r.Findings)
	}
	check(t, files.Rename(strings.TrimSuffix(all[2].file, ".log")+".seal", seal))
	r = examine(t, files)
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].What, "is that of segment 4") {
		t.Errorf("of another: %+v", r.Findings)
	}
}

func TestAPartitionBetweenTwoStatesIsLeftToTheStart(t *testing.T) {
	files, all := store(t, true, 2, 2)
	change(t, files, all[0].file, 70, 'X')
	f, err := files.Open(dir+"/swap", disk.Create)
	check(t, err)
	check(t, f.Close())
	r := examine(t, files)
	if len(r.Findings) != 1 || r.Findings[0].Severity != Warning || r.Segments != 0 {
		t.Errorf("found %+v", r)
	}
	if _, err := Repair(t.Context(), Options{Files: files}, "orders", 0); err == nil || !strings.Contains(err.Error(), "start the broker once") {
		t.Errorf("repaired: %v", err)
	}
}

func TestJournal(t *testing.T) {
	entry := func(payload string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
		b = append(append(b, 0, 1, 0, 1), payload...)
		return append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)), b...)
	}
	whole := slices.Concat([]byte(journalMagic), entry(`{"a":1}`), entry(`{}`))
	damaged := slices.Clone(whole)
	damaged[25] ^= 1
	cases := []struct {
		name string
		raw  []byte
		want string // severity and position
	}{
		{"whole", whole, ""},
		{"empty", []byte(journalMagic), ""},
		{"torn", whole[:len(whole)-1], "warning 27"},
		{"damaged", damaged, "warning 8"},
		{"too long to be", slices.Concat(whole, []byte{0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0}), "warning 41"},
		{"another file", []byte("something else"), "damage 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := disk.NewMemory()
			check(t, files.MkdirAll(journalDir))
			f, err := files.Open(journalDir+"/"+baseName(3)+".journal", disk.Create)
			check(t, err)
			_, err = f.WriteAt(c.raw, 0)
			check(t, errors.Join(err, f.Close()))
			got := ""
			for _, f := range examine(t, files).Findings {
				got += fmt.Sprint(f.Severity, " ", f.Position)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheLockIsTakenAndGivenBack(t *testing.T) {
	held := errors.New("somebody has it")
	files, all := store(t, true, 2)
	change(t, files, all[0].file, 70, 'X')
	o := Options{Files: files, Lock: func() (func() error, error) { return nil, held }}
	if _, err := Examine(t.Context(), o); !errors.Is(err, held) {
		t.Errorf("examine: %v", err)
	}
	if _, err := Repair(t.Context(), o, "orders", 0); !errors.Is(err, held) {
		t.Errorf("repair: %v", err)
	}
	released := 0
	o.Lock = func() (func() error, error) { return func() error { released++; return nil }, nil }
	_, err := Examine(t.Context(), o)
	check(t, err)
	if _, err = Repair(t.Context(), o, "orders", 7); !errors.Is(err, ErrUnknown) || released != 2 {
		t.Errorf("released %d times; %v", released, err)
	}
}

func TestExaminationStopsAndTellsItsProgress(t *testing.T) {
	files, _ := store(t, true, 5, 5)
	var last Progress
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Examine(ctx, Options{Files: files, Progress: func(p Progress) { last = p }})
	if err != nil || last.Done != last.Total || last.Total == 0 {
		t.Errorf("%+v, %v", last, err)
	}
	cancel()
	if _, err := Examine(ctx, Options{Files: files}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever bytes change, a repair leaves a log that opens and holds every batch that nobody touched, unless both its neighbours
// were damaged too, and no batch that was not written.
func TestRepairKeepsWhatIsGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, all := store(t, true, rapid.SliceOfN(rapid.IntRange(1, 5), 1, 3).Draw(t, "segments")...)
		touched, moved := map[int64]bool{}, false
		for range rapid.IntRange(1, 4).Draw(t, "places") {
			w := all[rapid.IntRange(0, len(all)-1).Draw(t, "batch")]
			at := rapid.IntRange(0, len(w.raw)-1).Draw(t, "byte")
			change(t, files, w.file, w.at+int64(at), rapid.Byte().Draw(t, "value"))
			touched[w.offset] = true
			moved = moved || at < 8 // no checksum covers the offset; between damaged neighbours a wrong one cannot be told
		}
		end := all[len(all)-1].offset + 2
		_, err := Repair(context.Background(), Options{Files: files}, "orders", 0)
		check(t, err)
		log := open(t, files)
		left := offsets(t, log)
		if log.End() < end {
			t.Fatalf("the log ends at %d, so offsets up to %d come again", log.End(), end)
		}
		for i, w := range all {
			alone := (i == 0 || touched[all[i-1].offset]) && (i == len(all)-1 || touched[all[i+1].offset])
			if !touched[w.offset] && !alone && !slices.Contains(left, w.offset) {
				t.Fatalf("the batch at offset %d is lost; touched %v, left %v", w.offset, touched, left)
			}
		}
		for _, offset := range left {
			if !moved && offset%2 != 0 || offset >= end {
				t.Fatalf("there is a batch at offset %d", offset)
			}
		}
	})
}

// A repair that is cut off at any change, by a kill or a loss of power, can be done again and loses nothing more.
func TestRepairSurvivesEveryCrash(t *testing.T) {
	files, all := store(t, true, 3, 3, 3)
	change(t, files, all[0].file, 70, 'X')
	change(t, files, all[4].file, all[4].at+70, 'X')
	change(t, files, all[8].file, all[8].at+70, 'X')
	want := []int64{2, 4, 6, 10, 12, 14}
	rng := rand.New(rand.NewPCG(1, 2))
	var crashes []*disk.Memory
	files.Hook = func(disk.Op) {
		crashes = append(crashes, files.Kill())
		for range 8 {
			crashes = append(crashes, files.PowerLoss(rng))
		}
	}
	_, err := Repair(t.Context(), Options{Files: files}, "orders", 0)
	check(t, err)
	files.Hook = nil
	if len(crashes) < 300 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for i, after := range crashes {
		if log, err := tryOpen(after); err == nil {
			check(t, log.Close())
		} else if _, damaged := errors.AsType[*commitlog.DamageError](err); !damaged {
			t.Fatalf("crash %d: %v", i, err)
		}
		if _, err := Repair(t.Context(), Options{Files: after}, "orders", 0); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		log := open(t, after)
		if got := offsets(t, log); !slices.Equal(got, want) || log.End() != 18 {
			t.Fatalf("crash %d: left are %v up to %d, want %v up to 18", i, got, log.End(), want)
		}
	}
}

func FuzzExamine(f *testing.F) {
	f.Add(encode(0, "value"), []byte(sealMagic))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, log, seal []byte) {
		files := disk.NewMemory()
		check(t, files.MkdirAll(dir))
		for end, raw := range map[string][]byte{".log": log, ".seal": seal} {
			file, err := files.Open(dir+"/"+baseName(0)+end, disk.Create)
			check(t, err)
			_, err = file.WriteAt(raw, 0)
			check(t, errors.Join(err, file.Close()))
		}
		examine(t, files)
		_, err := Repair(t.Context(), Options{Files: files}, "orders", 0)
		check(t, err)
		if r := examine(t, files); r.Damaged() != 0 {
			t.Errorf("still damaged: %+v", r.Findings)
		}
	})
}
