package disk

import (
	"io"
	"io/fs"
	"slices"
	"syscall"
)

// memoryFile is an open file of a Memory.
type memoryFile struct {
	fs     *Memory
	node   *node
	name   string
	mode   Mode
	closed bool // GUARDED_BY(fs.mu)
}

var _ File = (*memoryFile)(nil)

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("read", f.name, fs.ErrClosed)
	}
	if off >= int64(len(f.node.data)) && len(p) > 0 {
		return 0, io.EOF
	}
	n := 0
	if len(p) > 0 {
		n = copy(p, f.node.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("write", f.name, syscall.EINVAL)
	}
	if err := f.writable("write"); err != nil || len(p) == 0 {
		return 0, err
	}
	f.fs.announce(Op{Kind: OpWrite, Name: f.name, Bytes: len(p)})
	half := len(p) / 2
	if half > 0 {
		if err := f.edit("write", edit{at: off, bytes: slices.Clone(p[:half])}); err != nil {
			return 0, err
		}
		f.fs.announce(Op{Kind: OpWrite, Name: f.name, Bytes: len(p) - half, Middle: true})
	}
	if err := f.edit("write", edit{at: off + int64(half), bytes: slices.Clone(p[half:])}); err != nil {
		return half, err
	}
	return len(p), nil
}

func (f *memoryFile) Truncate(size int64) error {
	if size < 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	if err := f.writable("truncate"); err != nil {
		return err
	}
	f.fs.announce(Op{Kind: OpTruncate, Name: f.name, Bytes: int(size)})
	return f.edit("truncate", edit{at: size, truncate: true})
}

func (f *memoryFile) Sync() error {
	if err := f.open("sync"); err != nil {
		return err
	}
	f.fs.announce(Op{Kind: OpSync, Name: f.name})
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.sync()
	return nil
}

func (f *memoryFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("stat", f.name, fs.ErrClosed)
	}
	return int64(len(f.node.data)), nil
}

func (f *memoryFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *memoryFile) edit(op string, e edit) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	f.node.edit(e)
	return nil
}

func (f *memoryFile) open(op string) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	return nil
}

func (f *memoryFile) writable(op string) error {
	if err := f.open(op); err != nil {
		return err
	}
	if f.mode == Read {
		return pathError(op, f.name, syscall.EBADF)
	}
	return nil
}
