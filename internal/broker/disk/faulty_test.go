package disk

import (
	"errors"
	"syscall"
	"testing"
)

func TestFaultyFailsOnDemand(t *testing.T) {
	for name, c := range map[string]struct {
		fault Fault
		do    func(FS, File) error
		want  error
	}{
		"write":          {Fault{Kind: OpWrite}, func(_ FS, f File) error { return second(f.WriteAt([]byte("x"), 0)) }, syscall.ENOSPC},
		"write, quota":   {Fault{Kind: OpWrite, Err: syscall.EDQUOT}, func(_ FS, f File) error { return second(f.WriteAt([]byte("x"), 0)) }, syscall.EDQUOT},
		"read":           {Fault{Kind: OpRead}, func(_ FS, f File) error { return second(f.ReadAt(make([]byte, 1), 0)) }, syscall.EIO},
		"sync":           {Fault{Kind: OpSync}, func(_ FS, f File) error { return f.Sync() }, syscall.EIO},
		"truncate":       {Fault{Kind: OpTruncate}, func(_ FS, f File) error { return f.Truncate(1) }, syscall.EIO},
		"create":         {Fault{Kind: OpCreate}, func(s FS, _ File) error { return second(s.Open("d/new", Create)) }, syscall.ENOSPC},
		"open":           {Fault{Kind: OpOpen}, func(s FS, _ File) error { return second(s.Open("d/a", Create)) }, syscall.EIO},
		"rename, source": {Fault{Kind: OpRename, Name: "a"}, func(s FS, _ File) error { return s.Rename("d/a", "d/b") }, syscall.EIO},
		"rename, target": {Fault{Kind: OpRename, Name: "d/[bc]"}, func(s FS, _ File) error { return s.Rename("d/a", "d/b") }, syscall.EIO},
		"remove":         {Fault{Kind: OpRemove}, func(s FS, _ File) error { return s.Remove("d/a") }, syscall.EIO},
		"mkdir":          {Fault{Kind: OpMkdir}, func(s FS, _ File) error { return s.MkdirAll("e") }, syscall.ENOSPC},
		"sync directory": {Fault{Kind: OpSyncDir}, func(s FS, _ File) error { return s.SyncDir("d") }, syscall.EIO},
		"list":           {Fault{Kind: OpList}, func(s FS, _ File) error { return second(s.List("d")) }, syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMemory()
			f := NewFaulty(m)
			ok(t, f.MkdirAll("d"))
			put(t, f, "d/a", "hello")
			file := open(t, f, "d/a", Write)
			before := f.Count(c.fault.Kind)
			heal := f.Fail(c.fault)
			f.Fail(Fault{Kind: c.fault.Kind, Name: "other"})
			for range 2 {
				if err := c.do(f, file); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
			if got := f.Count(c.fault.Kind) - before; got != 2 {
				t.Errorf("counted %d", got)
			}
			is(t, m, "d/a", "hello")
			heal()
			ok(t, c.do(f, file))
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestFaultyWritesInPartWhenSpaceEnds(t *testing.T) {
	f := NewFaulty(NewMemory())
	file := open(t, f, "a", Create)
	f.Fail(Fault{Kind: OpWrite, Name: "*", After: 7})
	write(t, file, "hello", 0)
	n, err := file.WriteAt([]byte("there"), 5)
	if n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes, %v", n, err)
	}
	n, err = file.WriteAt([]byte("x"), 7)
	if n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes, %v", n, err)
	}
	is(t, f, "a", "helloth")
	f.Heal()
	write(t, file, "ere", 7)
	is(t, f, "a", "hellothere")
	if f.Written() != 10 || f.Count(OpWrite) != 4 {
		t.Errorf("%d bytes in %d writes", f.Written(), f.Count(OpWrite))
	}
}

func TestFaultyHealsByItself(t *testing.T) {
	f := NewFaulty(NewMemory())
	file := open(t, f, "a", Create)
	f.Fail(Fault{Kind: OpSync, After: 1, Times: 2})
	for i, bad := range []bool{false, true, true, false} {
		if err := file.Sync(); (err != nil) != bad {
			t.Errorf("sync %d: %v", i, err)
		}
	}
}
