package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"ravenswood.dev/internal/broker/disk"
)

const firstFile = "journal/00000000000000000001.journal"

// written is a file system with a journal: a checkpoint, then n entries with a sync after each, the last one unsynced.
func written(t testing.TB, n int, payload []byte) *disk.Memory {
	t.Helper()
	m := disk.NewMemory()
	j, _, _ := reopened(t, m, Options{})
	for range n - 1 {
		must(t, j.Append(1, 1, payload))
		must(t, j.Sync())
	}
	must(t, j.Append(1, 1, payload))
	return m
}

// overwrite changes a file behind the journal's back.
func overwrite(t testing.TB, fs disk.FS, name string, at int64, b ...byte) {
	t.Helper()
	f, err := fs.Open(name, disk.Write)
	must(t, err)
	_, err = f.WriteAt(b, at)
	must(t, err)
	must(t, f.Close())
}

func size(t testing.TB, fs disk.FS, name string) int64 {
	t.Helper()
	f, err := fs.Open(name, disk.Read)
	must(t, err)
	n, err := f.Size()
	must(t, err)
	must(t, f.Close())
	return n
}

// replay opens a journal and returns what it says.
func replay(fs disk.FS) (Recovery, error) {
	j, err := Open(fs, "journal", Options{})
	if err != nil {
		return Recovery{}, err
	}
	r, err := j.Replay(func(uint16, uint16, []byte) error { return nil })
	return r, errors.Join(err, j.Close())
}

// TestDamageIsNotATear damages a file in each of its bytes: what was synced, and sealed as such, is told; what was not
// is cut off.
func TestDamageIsNotATear(t *testing.T) {
	m := written(t, 4, []byte(`{"some": "state"}`))
	whole := size(t, m, firstFile)
	first := int64(len(magic) + sealBytes)
	entry := int64(entryBytes + 17)
	sealed := first + 3*entry + 2*sealBytes // the seal before the fourth entry says so of three, and two seals
	for at := range whole {
		damaged := m.Kill()
		f, err := damaged.Open(firstFile, disk.Read)
		must(t, err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, at)
		must(t, err)
		overwrite(t, damaged, firstFile, at, b[0]^0x41)
		r, err := replay(damaged)
		var damage *DamageError
		switch told := errors.As(err, &damage); {
		case told != (at < sealed):
			t.Errorf("byte %d of %d: %+v, %v", at, whole, r, err)
		case told && (damage.File != firstFile || damage.At > at || at-damage.At >= sealBytes+entry):
			t.Errorf("byte %d: %v", at, err)
		case told && size(t, damaged, firstFile) != whole:
			t.Errorf("byte %d: a damaged file was cut", at)
		case !told && (err != nil || r.Bytes > at || r.Cut != whole-r.Bytes):
			t.Errorf("byte %d: %+v, %v", at, r, err)
		}
	}
}

func TestDamageAfterACleanStopIsTold(t *testing.T) {
	m := disk.NewMemory()
	j, _, _ := reopened(t, m, Options{})
	must(t, j.Append(1, 1, []byte("the only entry")))
	must(t, j.Close())
	overwrite(t, m, firstFile, int64(len(magic)+sealBytes+entryBytes), 'X')
	if _, err := replay(m); !errors.As(err, new(*DamageError)) {
		t.Errorf("got %v", err)
	}
}

func TestDamageIsFoundHoweverFarTheSealIs(t *testing.T) {
	for shift := range 90 { // so that the seal crosses every border of a part that is searched
		m := disk.NewMemory()
		j, _, _ := reopened(t, m, Options{})
		must(t, j.Append(1, 1, []byte("first")))
		must(t, j.Append(1, 1, make([]byte, 2*window-20-shift)))
		must(t, j.Sync())
		must(t, j.Append(1, 1, []byte("behind a seal")))
		overwrite(t, m, firstFile, int64(len(magic)+sealBytes+4), 0xff) // the length of the first
		if _, err := replay(m); !errors.As(err, new(*DamageError)) {
			t.Fatalf("shift %d: got %v", shift, err)
		}
	}
}

func TestACheckpointThatIsNotWholeIsDamage(t *testing.T) {
	m := disk.NewMemory()
	j, _, _ := reopened(t, m, Options{})
	must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte("state")) }))
	must(t, j.Close())
	const name = "journal/00000000000000000002.journal"
	for cut := range size(t, m, name) {
		short := m.Kill()
		f, err := short.Open(name, disk.Write)
		must(t, err)
		must(t, f.Truncate(cut))
		if _, err := replay(short); !errors.As(err, new(*DamageError)) {
			t.Errorf("cut at %d: %v", cut, err)
		}
		if size(t, short, name) != cut {
			t.Errorf("cut at %d: changed", cut)
		}
	}
}

// TestASealOfAnotherPlaceIsNone: remains of other files, or of this one, must not turn a tear into damage.
func TestASealOfAnotherPlaceIsNone(t *testing.T) {
	m := written(t, 1, []byte("first"))
	end := size(t, m, firstFile)
	for name, s := range map[string]seal{
		"another file":     {number: 2, at: end + 4, synced: end + 4},
		"another position": {number: 1, at: end + 5, synced: end + 4},
		"too much":         {number: 1, at: end + 4, synced: end + 5},
		"negative":         {number: 1, at: end + 4, synced: -1},
	} {
		t.Run(name, func(t *testing.T) {
			torn := m.Kill()
			overwrite(t, torn, firstFile, end, append([]byte("torn"), appendSeal(nil, s)...)...)
			if r, err := replay(torn); err != nil || r.Bytes != end || r.Cut != 4+sealBytes || r.File != firstFile {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestTooLongAPayloadIsNotRead(t *testing.T) {
	m := written(t, 1, []byte("first"))
	end := size(t, m, firstFile)
	long := make([]byte, entryBytes+MaxPayload+1)
	binary.BigEndian.PutUint32(long[4:], MaxPayload+1)
	long[9] = 1
	binary.BigEndian.PutUint32(long, crc32.Checksum(long[4:], castagnoli()))
	overwrite(t, m, firstFile, end, long...)
	if r, err := replay(m); err != nil || r.Entries != 1 || r.Bytes != end {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheLargestPayloadComesBack(t *testing.T) {
	m := disk.NewMemory()
	j, _, _ := reopened(t, m, Options{})
	payload := bytes.Repeat([]byte("0123456789abcdef"), MaxPayload/16)
	must(t, j.Append(1, 1, payload))
	must(t, j.Append(1, 1, []byte("small")))
	if err := j.Append(1, 1, append(payload, 'x')); err == nil {
		t.Error("too long a payload was appended")
	}
	if err := j.Append(sealKind, 1, nil); err == nil {
		t.Error("an entry of the journal's own kind was appended")
	}
	must(t, j.Close())
	if _, _, got := reopened(t, m, Options{}); fmt.Sprint(got) != "["+text(1, 1, payload)+" 1.1 small]" {
		t.Errorf("%d entries", len(got))
	}
}

func TestADamageErrorNamesFileAndPosition(t *testing.T) {
	for want, e := range map[string]DamageError{
		`read journal "j/1": damaged at byte 7, in its checkpoint`:           {File: "j/1", At: 7},
		`read journal "j/1": damaged at byte 7, though durable up to byte 9`: {File: "j/1", At: 7, Synced: 9},
	} {
		if e.Error() != want {
			t.Errorf("%v", &e)
		}
	}
}

// FuzzReplay replays any bytes behind a checkpoint, and as a whole file. What it accepts it must accept again.
func FuzzReplay(f *testing.F) {
	one := appendEntry(nil, 3, 1, []byte(`{"a": 1}`))
	f.Add([]byte{}, false)
	f.Add(one, false)
	f.Add(append(one, one[:len(one)-1]...), false)
	f.Add(appendSeal(one, seal{number: 1, at: 64, synced: 64}), false)
	f.Add(append([]byte{0, 0, 0, 0}, appendSeal(nil, seal{number: 1, at: 48, synced: 45})...), false)
	f.Add(appendSeal([]byte(magic), seal{number: 1, at: 8, synced: 8}), true)
	f.Add(bytes.Repeat([]byte{0}, 100), false)
	f.Add([]byte(strings.Repeat("\x00\x00\x00\x18\x00\x00\x00\x01", 9)), false)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		m := disk.NewMemory()
		j, _, _ := reopened(t, m, Options{})
		must(t, j.Close())
		at := size(t, m, firstFile)
		if whole {
			at = 0
		}
		overwrite(t, m, firstFile, at, b...)
		r, err := replay(m)
		if err != nil {
			if !errors.As(err, new(*DamageError)) {
				t.Fatal(err)
			}
			return
		}
		again, err := replay(m)
		if err != nil || again.Cut != 0 || again.Entries != r.Entries {
			t.Fatalf("first %+v, then %+v, %v", r, again, err)
		}
	})
}
