package server

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/disk"
)

// reserveFile is space that is held back: it is given up when the disk is full, so that what is committed then still has
// room in the journal and for markers, and taken again before anything is produced.
const reserveFile = "reserve"

// diskState says whether there is room.
type diskState struct {
	full    atomic.Bool
	journal atomic.Pointer[error] // why the journal takes nothing any more
}

// room refuses what would grow the log while the disk is full.
func (s *Server) room() error {
	if s.disk.full.Load() {
		return kerr.KafkaStorageError
	}
	return nil
}

// refusedWrite notes that the operating system refused a write to a partition.
func (s *Server) refusedWrite(p *partition, err error) {
	if s.filled(err) {
		return
	}
	s.log.Error("write refused", "partition", p.String(), "err", err)
}

func (s *Server) refusedJournal(err error) {
	if s.filled(err) {
		return
	}
	if s.disk.journal.CompareAndSwap(nil, &err) {
		s.log.Error("journal refused: what needs it is refused until the broker is started again", "err", err)
	}
}

// filled gives up the reserve when there is no room left.
func (s *Server) filled(err error) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) && !errors.Is(err, syscall.EFBIG) {
		return false
	}
	if s.disk.full.CompareAndSwap(false, true) {
		s.log.Error("disk full: produces are refused until there is room again", "err", err)
		if err := s.fs.Remove(reserveFile); err != nil {
			s.log.Debug("reserve not given up", "err", err)
		}
	}
	return true
}

// watchDisk takes the reserve again when there is room, and lets produces through.
func (s *Server) watchDisk(ctx context.Context) {
	s.reserve()
	for s.pause(time.Second) && ctx.Err() == nil {
		if s.disk.full.Load() {
			s.reserve()
		}
	}
}

// reserve takes the space that is held back. After a full disk it asks for twice as much first, so that a disk that is
// full again a moment later does not have it back and forth.
func (s *Server) reserve() {
	want := s.o.ReserveBytes
	if s.disk.full.Load() {
		want *= 2
	}
	if err := takeReserve(s.fs, s.o.ReserveBytes, want); err != nil {
		s.filled(err)
		return
	}
	if s.disk.full.CompareAndSwap(true, false) {
		s.log.Info("room on the disk again")
	}
}

// takeReserve writes the file up to want and leaves it at keep. Space that was only promised would not be there when it
// is needed.
func takeReserve(fs disk.FS, keep, want int64) error {
	if keep <= 0 {
		return nil
	}
	f, err := fs.Open(reserveFile, disk.Create)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // what counts is synced below
	size, err := f.Size()
	if err != nil {
		return err
	}
	chunk := make([]byte, min(1<<20, keep))
	for ; size < want; size += int64(len(chunk)) {
		if _, err := f.WriteAt(chunk, size); err != nil {
			return errors.Join(err, fs.Remove(reserveFile))
		}
	}
	if err := f.Truncate(keep); err != nil {
		return err
	}
	return f.Sync()
}
