package snapshot

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gocloud.dev/blob"

	"ravenswood.dev/internal/engine/store"
)

// Saved says what was saved.
type Saved struct {
	Files    int
	Bytes    int64
	Uploaded int64 // bytes that were not there before
}

// memory is what a Bucket remembers of a task, to do less at the next snapshot. One Save at a time has it.
type memory struct {
	busy    bool                // GUARDED_BY(Bucket.mu)
	hashes  map[fileID]string   // of the files of the last snapshot
	uploads map[string]uploaded // by hash: what is there although no manifest may name it yet
}

// fileID stands for the content of a file of a State. Pebble gives a number once and does not change a table's file.
type fileID struct {
	name     string
	size     int64
	modified time.Time
}

type uploaded struct {
	blob string
	at   time.Time
}

// Save writes a snapshot of what is committed, uploading only what has changed. The writer of the State is held up while
// tables are linked into scratch, a folder of the same file system that is removed before and after. What was saved stays
// saved if the error is only that of tidying up.
func (b *Bucket) Save(ctx context.Context, t Task, s *store.State, scratch string) (saved Saved, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save snapshot of %q: %w", t, err)
		}
	}()
	mem, err := b.borrow(t)
	if err != nil {
		return saved, err
	}
	defer b.release(mem)
	ctx, cancel := context.WithTimeout(ctx, b.opt.Grace/2)
	defer cancel()
	m := &Manifest{Format: format, Identity: t.Identity, Taken: time.Now().UTC()}
	for _, name := range slices.Sorted(maps.Keys(t.Origins)) { // before the copy: it has at least as much
		m.Stores = append(m.Stores, Store{Name: name, Origin: t.Origins[name], Checkpoint: s.Checkpoint(name), Current: s.Current(name)})
	}
	if err := os.RemoveAll(scratch); err != nil {
		return saved, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // what is left is left to the next Save, as after a crash
	if err := os.MkdirAll(filepath.Dir(scratch), 0o750); err != nil {
		return saved, err
	}
	if err := s.Snapshot(scratch); err != nil {
		return saved, err
	}
	w := &writing{Bucket: b, task: t, memory: mem, dir: scratch, hashes: make(map[fileID]string)}
	if saved, err = w.write(ctx, m); err != nil {
		return saved, err
	}
	return saved, b.tidy(ctx, t)
}

// borrow gives the memory of a task to one Save.
func (b *Bucket) borrow(t Task) (*memory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mem := b.known[t.folder()]
	if mem == nil {
		mem = &memory{uploads: make(map[string]uploaded)}
		b.known[t.folder()] = mem
	}
	if mem.busy {
		return nil, errors.New("one is being saved already")
	}
	mem.busy = true
	return mem, nil
}

func (b *Bucket) release(mem *memory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mem.busy = false
}

// writing is a Save at work.
type writing struct {
	*Bucket
	task   Task
	memory *memory
	dir    string
	hashes map[fileID]string
}

// write uploads the files and then the manifest.
func (w *writing) write(ctx context.Context, m *Manifest) (saved Saved, err error) {
	there, err := w.there(ctx)
	if err != nil {
		return saved, err
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return saved, err
	}
	for _, e := range entries {
		f, isNew, err := w.file(ctx, e, there)
		if err != nil {
			return saved, err
		}
		if isNew {
			saved.Uploaded += f.Size
		}
		m.Files = append(m.Files, f)
	}
	saved.Files, saved.Bytes = len(m.Files), m.bytes()
	if err := m.check(w.opt.MaxBytes); err != nil {
		return saved, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return saved, err
	}
	name := fmt.Sprintf("%s-%014d-%s.json", w.task.fingerprint(), m.Taken.UnixMilli(), chance())
	if err := w.blobs.WriteAll(ctx, w.task.folder()+manifests+name, text, nil); err != nil {
		return saved, fmt.Errorf("write manifest: %w", err)
	}
	w.memory.hashes = w.hashes
	clear(w.memory.uploads) // the manifest names them now
	return saved, nil
}

// there returns the blobs, by hash, that need not be uploaded: those of the newest manifest, which stays at least for the
// grace after it is replaced, and what a Save of ours that failed has just uploaded. Others may be removed any moment.
func (w *writing) there(ctx context.Context) (map[string]string, error) {
	blobs := make(map[string]string)
	all, err := w.list(ctx, w.task.folder()+manifests)
	if err != nil {
		return nil, err
	}
	if own := newestFirst(all, w.task.fingerprint()); len(own) > 0 && buildable(own[0], time.Now()) {
		m, err := w.manifest(ctx, w.task, own[0])
		if err != nil {
			w.opt.Log.Warn("a snapshot can't be read and is not built upon", "task", w.task.String(), "snapshot", own[0].name, "err", err)
			m = new(Manifest)
		}
		for _, f := range m.Files {
			blobs[f.Hash] = f.Blob
		}
	}
	for hash, u := range w.memory.uploads {
		if time.Since(u.at) < w.opt.Grace/4 {
			blobs[hash] = u.blob
		} else {
			delete(w.memory.uploads, hash)
		}
	}
	return blobs, nil
}

// file makes sure that a file is there.
func (w *writing) file(ctx context.Context, e os.DirEntry, there map[string]string) (f File, isNew bool, err error) {
	info, err := e.Info()
	if err != nil {
		return f, false, err
	}
	if !info.Mode().IsRegular() {
		return f, false, fmt.Errorf("%q is no file", e.Name())
	}
	path := filepath.Join(w.dir, e.Name())
	f = File{Name: e.Name(), Size: info.Size()}
	id := fileID{f.Name, f.Size, info.ModTime()}
	if f.Hash = w.memory.hashes[id]; f.Hash == "" {
		if f.Hash, err = hashOf(ctx, path); err != nil {
			return f, false, err
		}
	}
	w.hashes[id] = f.Hash
	if f.Blob = there[f.Hash]; f.Blob != "" {
		return f, false, nil
	}
	// A name of its own for each upload: somebody may be removing one of the same hash, which nobody has named.
	f.Blob = f.Hash + "." + chance()
	began := time.Now() // the time that storage notes may be that of the beginning
	if err := w.upload(ctx, w.task.folder()+files+f.Blob, path); err != nil {
		return f, false, fmt.Errorf("upload %q: %w", f.Name, err)
	}
	there[f.Hash] = f.Blob
	w.memory.uploads[f.Hash] = uploaded{f.Blob, began}
	return f, true, nil
}

func (b *Bucket) upload(ctx context.Context, key, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return b.blobs.Upload(ctx, key, file, &blob.WriterOptions{ContentType: contentType})
}

// tidy removes what nobody needs any more. The time is that of the storage: of the manifest that was written last.
func (b *Bucket) tidy(ctx context.Context, t Task) error {
	all, err := b.list(ctx, t.folder()+manifests)
	if err != nil || len(all) == 0 {
		return err
	}
	now := slices.MaxFunc(all, func(a, b object) int { return a.written.Compare(b.written) }).written
	old := retired(all, t.fingerprint(), now, b.opt.Grace)
	for _, name := range old {
		if err := b.blobs.Delete(ctx, t.folder()+manifests+name); err != nil && !missing(err) {
			return err
		}
	}
	all = slices.DeleteFunc(all, func(o object) bool { return slices.Contains(old, o.name) })
	return b.sweep(ctx, t, all, now)
}

// sweep removes files that no manifest names. If one of the manifests can't be read nothing is removed: it may name them.
func (b *Bucket) sweep(ctx context.Context, t Task, all []object, now time.Time) error {
	have, err := b.list(ctx, t.folder()+files)
	if err != nil {
		return err
	}
	if len(unreferenced(have, nil, now, b.opt.Grace)) == 0 {
		return nil
	}
	named := make(map[string]bool)
	for _, o := range all {
		m, err := b.manifest(ctx, t, o)
		if missing(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep all files because of %q: %w", o.name, err)
		}
		for _, f := range m.Files {
			named[f.Blob] = true
		}
	}
	for _, name := range unreferenced(have, named, now, b.opt.Grace) {
		if err := b.blobs.Delete(ctx, t.folder()+files+name); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

func chance() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// hashOf reads a file in pieces, so that it can be stopped.
func hashOf(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, readerOf(ctx, file), make([]byte, 256<<10)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// untilDone reads until its context is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func readerOf(ctx context.Context, r io.Reader) io.Reader { return &untilDone{ctx, r} }

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
