package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the stores of a task, making those that are new and emptying those that are of another origin. The error is
// a *ForeignError if the directory is not this state's, a *DamagedError if its files can't be read.
func Open(opt Options) (*State, error) {
	if opt.Log == nil {
		opt.Log = discard()
	}
	if opt.FS == nil {
		opt.FS = vfs.Default
	}
	s := &State{
		opt: opt, byName: map[string]*table{}, views: map[string]any{}, observed: unknown, observedGround: unknown,
	}
	s.change = sync.NewCond(&s.mu)
	if err := s.addAll(); err != nil {
		return nil, fmt.Errorf("open state %q: %w", opt.Identity, err)
	}
	if err := s.openDisk(); err != nil {
		return nil, err
	}
	for _, t := range s.tables {
		t.fresh()
		s.views[t.spec.Name] = newView(t, t, t)
	}
	return s, nil
}

func (s *State) addAll() error {
	for _, spec := range s.opt.Specs {
		if s.byName[spec.Name] != nil {
			return fmt.Errorf("two stores of the name %q", spec.Name)
		}
		if spec.Kind > KindVersioned {
			return fmt.Errorf("the store %q is of an unknown kind", spec.Name)
		}
		if spec.Kind != KindKeyValue && spec.Retention == 0 {
			return fmt.Errorf("the %s store %q needs a retention", spec.Kind, spec.Name)
		}
		if spec.Retention != 0 && spec.Retention < time.Millisecond {
			return fmt.Errorf("the store %q has the retention %v: the least is a millisecond", spec.Name, spec.Retention)
		}
		t := &table{state: s, spec: spec, cut: segmentsOf(spec.Retention), keep: spec.Retention.Milliseconds(), expired: unknown}
		s.tables = append(s.tables, t)
		s.byName[spec.Name] = t
	}
	slices.SortFunc(s.tables, func(a, b *table) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	return nil
}

// memoryNumber is what the keys of every store in memory begin with; they are not mixed.
const memoryNumber = 1

func (s *State) openDisk() error {
	var onDisk []*table
	for _, t := range s.tables {
		if t.spec.Memory || s.opt.Dir == "" {
			t.become(record{number: memoryNumber, checkpoint: -1, observed: unknown}, new(memory))
		} else {
			onDisk = append(onDisk, t)
		}
	}
	if s.opt.Dir == "" {
		return nil
	}
	caches := s.opt.Caches
	if caches == nil {
		caches = NewCaches(CacheOptions{States: 1})
		defer caches.Close()
	}
	return s.openDatabase(onDisk, caches)
}

func (s *State) openDatabase(onDisk []*table, caches *Caches) error {
	dir := s.opt.Dir
	if err := refuseForeign(s.opt.FS, dir); err != nil {
		return err
	}
	if err := refuseHeadless(s.opt.FS, dir); err != nil {
		return err
	}
	d, err := openDisk(dir, s.opt.FS, caches, s.opt.Log, s.damaged)
	if err != nil {
		return fmt.Errorf("open state: %w", damage(dir, err))
	}
	emptied, err := d.take(dir, s.opt.Identity, onDisk, s.opt.Origins)
	if err != nil {
		return fmt.Errorf("open state: %w", damage(dir, errors.Join(err, d.db.Close())))
	}
	for _, name := range emptied {
		s.opt.Log.Warn("a store was emptied: it was made from something else", "dir", dir, "store", name)
	}
	s.disk = d
	return nil
}

// damaged makes the State fail when a file can't be read, whoever reads it.
func (s *State) damaged(err error) { _ = s.failWith(&DamagedError{Dir: s.opt.Dir, Err: err}) }

// take makes a database this state's, or refuses it.
func (d *disk) take(dir, identity string, tables []*table, origins map[string]string) (emptied []string, err error) {
	if err := d.identify(dir, identity); err != nil {
		return nil, err
	}
	return d.adopt(tables, origins)
}

// refuseForeign looks for files that Pebble would not have made.
func refuseForeign(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !ours(name) {
			return &ForeignError{Dir: dir, Reason: fmt.Sprintf("there is a file %q of another program", name)}
		}
	}
	return nil
}

// refuseHeadless looks for files of a database whose beginning is missing: Pebble would begin a new one among them. A manifest
// alone is what is left of a making that was cut short, and is made again: whatever holds data comes after it.
func refuseHeadless(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	headless := slices.ContainsFunc(names, func(name string) bool {
		return strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".sst")
	})
	if desc, err := pebble.Peek(dir, fsys); err != nil {
		return fmt.Errorf("open state: %w", damage(dir, err))
	} else if headless && !desc.Exists {
		return fmt.Errorf("open state: %w", &DamagedError{Dir: dir, Err: errors.New("it has files, but nothing says which count")})
	}
	return nil
}

// ours says whether a file can be one of Pebble's.
func ours(name string) bool {
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "marker.", "temporary.", "CURRENT", "LOCK"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	number, kind, _ := strings.Cut(name, ".")
	return strings.Trim(number, "0123456789-") == "" && slices.Contains([]string{"sst", "log", "blob", "dbtmp"}, kind)
}

// Remove removes the directory of a state that is not open. One that holds other files is refused, and one that somebody
// has open.
func Remove(dir string) error { return remove(vfs.Default, dir) }

func remove(fsys vfs.FS, dir string) error {
	if err := refuseForeign(fsys, dir); err != nil {
		return err
	}
	if _, err := fsys.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := pebble.LockDirectory(dir, fsys)
	if err != nil {
		return fmt.Errorf("remove state %q: somebody has it open: %w", dir, err)
	}
	if err := errors.Join(fsys.RemoveAll(dir), lock.Close()); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

func newView(t *table, r reading, w writing) any {
	v := view{name: t.spec.Name, number: t.number, r: r, w: w}
	switch t.spec.Kind {
	case KindWindow:
		return &windows{spans{view: v, cut: t.cut}}
	case KindSession:
		return &sessions{spans{view: v, cut: t.cut}}
	case KindVersioned:
		return &versions{v}
	default:
		return &keyValue{v}
	}
}
