// Package snapshot keeps copies of tasks' stores in object storage, so that a new machine begins with a copy and the tail of
// the changelog instead of the whole changelog (docs/internals/snapshots.md).
//
// A Bucket is safe for concurrent use, and any number of processes may use the same storage at the same time: two owners of
// a task during a hand-over, too.
//
// Nothing may depend on a snapshot: it may be old, broken, foreign or gone. The changelog has everything, and whoever can't
// use a snapshot goes on without it.
package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/s3blob"
)

// Options are the bounds of a Bucket. A zero takes the default.
type Options struct {
	// Grace is how long a snapshot that was replaced stays for those who read it or build on it. Saving may take half of
	// it. The clocks of the processes do not matter, only that of the storage. Default: 1 h.
	Grace time.Duration
	// MaxBytes is the largest snapshot that is fetched. Default: 1 TB.
	MaxBytes int64
	Log      *slog.Logger
}

// The defaults of Options.
const (
	DefaultGrace    = time.Hour
	DefaultMaxBytes = 1 << 40
)

// Bucket is where snapshots are kept.
type Bucket struct {
	blobs *blob.Bucket
	opt   Options

	mu    sync.Mutex
	known map[string]*memory // by folder of the task; GUARDED_BY(mu)
}

// Open opens object storage: a folder (a path, or file://), which is made if need be, or s3://bucket/prefix with the
// parameters of gocloud.dev/blob/s3blob, such as region, endpoint and use_path_style. Credentials are found as the programs
// of AWS find them. Whether the storage can be reached shows later.
func Open(ctx context.Context, at string, opt Options) (*Bucket, error) {
	opt.Grace, opt.MaxBytes = cmp.Or(opt.Grace, DefaultGrace), cmp.Or(opt.MaxBytes, DefaultMaxBytes)
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	blobs, err := open(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("open snapshots at %q: %w", redacted(at), err)
	}
	return &Bucket{blobs: blobs, opt: opt, known: make(map[string]*memory)}, nil
}

// Close ends the use of the storage.
func (b *Bucket) Close() error { return b.blobs.Close() }

func open(ctx context.Context, at string) (*blob.Bucket, error) {
	if !strings.Contains(at, "://") {
		return openFolder(at)
	}
	u, err := url.Parse(at)
	if err != nil {
		return nil, errors.New("it is no URL") // the parser's own error would repeat it
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || u.RawQuery != "" {
			return nil, errors.New("a file:// URL has a path only, such as file:///var/lib/snapshots")
		}
		return openFolder(filepath.FromSlash(u.Path))
	case s3blob.Scheme:
		return openS3(ctx, u)
	default:
		return nil, fmt.Errorf("the scheme %q is not known: use a folder, file:// or s3://", u.Scheme)
	}
}

// openFolder writes no files of attributes beside ours, and nothing to the system's temporary folder, which may be of
// another file system.
func openFolder(dir string) (*blob.Bucket, error) {
	if dir == "" {
		return nil, errors.New("the folder has no name")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	return fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o750})
}

func openS3(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	prefix := strings.Trim(u.Path, "/")
	plain := *u
	plain.Path = ""
	blobs, err := new(s3blob.URLOpener).OpenBucketURL(ctx, &plain)
	if err != nil || prefix == "" {
		return blobs, err
	}
	return blob.PrefixedBucket(blobs, prefix+"/"), nil
}

// redacted leaves out what may be secret in a URL.
func redacted(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "…"
	}
	return u.Redacted()
}

// Task says whose stores a snapshot holds.
type Task struct {
	Topology  string
	Stage     string
	Partition int32
	// Identity is that of the State, which keeps it in its files.
	Identity string
	// Origins says what each store on disk is made from, such as the id of its changelog topic. A snapshot of other
	// origins is not used.
	Origins map[string]string
	// Usable says whether the stores of a snapshot that have the right origins, at least one, are worth fetching; nil: any are.
	Usable func([]Store) bool
}

func (t Task) String() string { return fmt.Sprintf("%s/%s/%d", t.Topology, t.Stage, t.Partition) }

// folder is where a task's snapshots are.
func (t Task) folder() string {
	return fmt.Sprintf("%s/%s/%d/", url.PathEscape(t.Topology), url.PathEscape(t.Stage), t.Partition)
}
