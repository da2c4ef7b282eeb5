package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
)

// The folders of a task.
const (
	manifests = "manifests/"
	files     = "files/"
)

// contentType keeps the storage from guessing one from the bytes.
const contentType = "application/octet-stream"

// Fetched says what was fetched.
type Fetched struct {
	Files    int
	Bytes    int64
	Manifest Manifest
}

// attempts is how many snapshots are tried before the changelog must do.
const attempts = kept

// Fetch puts the newest usable snapshot of a task where its State is opened. The folder must not exist; it appears whole or
// not at all, and every byte of it is what was saved. With no usable snapshot Fetch returns nil; the error then says why
// those that are there are not, and is nil if there are none.
func (b *Bucket) Fetch(ctx context.Context, t Task, dir string) (*Fetched, error) {
	all, err := b.list(ctx, t.folder()+manifests)
	if err != nil {
		return nil, fmt.Errorf("fetch snapshot of %q: %w", t, err)
	}
	own := newestFirst(all, t.fingerprint())
	if len(own) == 0 { // a store came or went: the others are of use
		own = anyNewest(all)
	}
	var wrong []error
	for _, o := range own[:min(attempts, len(own))] {
		m, err := b.fetch(ctx, t, o, dir)
		if err == nil {
			return &Fetched{Files: len(m.Files), Bytes: m.bytes(), Manifest: *m}, nil
		}
		wrong = append(wrong, fmt.Errorf("fetch snapshot %q of %q: %w", o.name, t, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(wrong...)
}

// anyNewest returns the newest manifest of each fingerprint, newest first.
func anyNewest(all []object) (newest []object) {
	seen := make(map[string]bool)
	for _, o := range all {
		if f := fingerprintOf(o.name); f != "" && !seen[f] {
			seen[f] = true
			newest = append(newest, newestFirst(all, f)[0])
		}
	}
	sortNewest(newest)
	return newest
}

func (b *Bucket) fetch(ctx context.Context, t Task, o object, dir string) (*Manifest, error) {
	m, err := b.manifest(ctx, t, o)
	if err != nil {
		return nil, err
	}
	if err := m.fits(t); err != nil {
		return nil, err
	}
	scratch := dir + ".fetching"
	if err := os.RemoveAll(scratch); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(scratch, 0o750); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // what is left is left to the next attempt, as after a crash
	if err := b.download(ctx, t, m, scratch); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("put it in %q: there is something already", dir)
	}
	return m, os.Rename(scratch, dir)
}

// parallel is how many files are read at once: storage far away answers slowly, but many.
const parallel = 4

func (b *Bucket) download(ctx context.Context, t Task, m *Manifest, dir string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, f := range m.Files {
		g.Go(func() error {
			if err := b.downloadFile(ctx, t.folder()+files+f.Blob, f, filepath.Join(dir, f.Name)); err != nil {
				return fmt.Errorf("download %q: %w", f.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// downloadFile writes a file that is exactly what the manifest says.
func (b *Bucket) downloadFile(ctx context.Context, key string, f File, path string) (err error) {
	r, err := b.blobs.NewReader(ctx, key, nil)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	if r.Size() >= 0 && r.Size() != f.Size {
		return fmt.Errorf("it has %d bytes, not %d", r.Size(), f.Size)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(file, h), io.LimitReader(readerOf(ctx, r), f.Size+1), make([]byte, 256<<10))
	switch {
	case err != nil:
		return err
	case n != f.Size:
		return fmt.Errorf("it has not %d bytes", f.Size)
	case hex.EncodeToString(h.Sum(nil)) != f.Hash:
		return errors.New("it is not what was saved: its hash is another")
	}
	return file.Sync() // the name comes after the bytes, or a loss of power could leave a folder that can't be opened
}

// manifest reads a manifest.
func (b *Bucket) manifest(ctx context.Context, t Task, o object) (*Manifest, error) {
	if o.size > maxManifest {
		return nil, fmt.Errorf("read manifest: it has %d bytes", o.size)
	}
	r, err := b.blobs.NewReader(ctx, t.folder()+manifests+o.name, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return nil, err
	}
	return decode(text, b.opt.MaxBytes)
}

// listAttempts is how often a folder is listed again that changed meanwhile.
const listAttempts = 20

// list lists what is in a folder of the storage. On a file system that fails if a file goes meanwhile: another process
// renames what it has written, or tidies up.
func (b *Bucket) list(ctx context.Context, folder string) (all []object, err error) {
	for range listAttempts {
		if all, err = b.listOnce(ctx, folder); !missing(err) {
			break
		}
	}
	return all, err
}

func (b *Bucket) listOnce(ctx context.Context, folder string) (all []object, err error) {
	it := b.blobs.List(&blob.ListOptions{Prefix: folder})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", folder, err)
		}
		all = append(all, object{name: o.Key[len(folder):], size: o.Size, written: o.ModTime})
	}
}

func missing(err error) bool { return err != nil && gcerrors.Code(err) == gcerrors.NotFound }
