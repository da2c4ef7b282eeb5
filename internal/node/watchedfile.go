package node

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// watchedFileEvery is how long what a file said is believed before it is looked at again.
const watchedFileEvery = time.Second

// watchedFileMax bounds what is read of one: a system's list of authorities has some hundred kB.
const watchedFileMax = 4 << 20

// watchedFile is what a file says now. It is read again when somebody wants to know, and the last thing it said that was
// any good counts: while a file is written anew, or is wrong, nothing changes, and the log says so once.
//
// The text is compared, not the file's time: two lines that change places within a tick of the file system's clock leave
// size and time as they were.
type watchedFile[T any] struct {
	path  string
	parse func(text []byte) (T, error)
	log   *slog.Logger
	once  bool // there is nothing to read again

	mu     sync.Mutex
	again  time.Time // GUARDED_BY(mu); when the file is looked at next
	digest [32]byte  // GUARDED_BY(mu); of the last good text
	fault  string    // GUARDED_BY(mu); what the log said is wrong with the file; empty: nothing
	value  T         // GUARDED_BY(mu)
}

// watchFile reads a file for the first time, when it has to be good. What is no file in a folder, as a pipe, says what it
// says once.
func watchFile[T any](path string, parse func([]byte) (T, error), log *slog.Logger) (*watchedFile[T], error) {
	w := &watchedFile[T]{path: path, parse: parse, log: log}
	text, err := readFileUpTo(path, watchedFileMax)
	if err != nil {
		return nil, err
	}
	if w.value, err = parse(text); err != nil {
		return nil, err
	}
	w.digest, w.again = sha256.Sum256(text), time.Now().Add(watchedFileEvery)
	info, err := os.Stat(path)
	w.once = err == nil && !info.Mode().IsRegular()
	return w, nil
}

// current is what the file says.
func (w *watchedFile[T]) current() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); !w.once && !now.Before(w.again) {
		w.again = now.Add(watchedFileEvery)
		w.look()
	}
	return w.value
}

// look reads the file again. The caller holds mu.
func (w *watchedFile[T]) look() {
	text, err := readFileUpTo(w.path, watchedFileMax)
	if err != nil {
		w.complain(err)
		return
	}
	digest := sha256.Sum256(text)
	if digest == w.digest && w.fault == "" {
		return
	}
	value, err := w.parse(text)
	if err != nil {
		w.complain(err)
		return
	}
	w.log.Info("a file was read again", "file", w.path)
	w.digest, w.fault, w.value = digest, "", value
}

func (w *watchedFile[T]) complain(err error) {
	if fault := err.Error(); fault != w.fault {
		w.fault = fault
		w.log.Warn("a file cannot be read again; what it said before still counts", "file", w.path, "err", err)
	}
}

func readFileUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("read %q: it is larger than %d bytes", path, most)
	}
	return text, err
}
