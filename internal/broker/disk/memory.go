package disk

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Memory is a file system in memory that takes the contract of FS at its word. Besides what the operating system would
// show it knows what would survive: of each file the synced image and the changes since, of each directory the synced
// names and the changes since. See Kill and PowerLoss.
type Memory struct {
	// Hook, if set, is called before each change, and once more in the middle of each write of two bytes or more, when a
	// part of it is there. It may call Kill and PowerLoss to see what a crash at this moment leaves. It is called by the
	// goroutine that makes the change, without a lock. Set it before the first use.
	Hook func(Op)

	mu      sync.Mutex
	changes int64 // GUARDED_BY(mu): number of the last Op
	root    *node // GUARDED_BY(mu), with all nodes below
}

var _ FS = (*Memory)(nil)

// NewMemory is an empty file system.
func NewMemory() *Memory { return &Memory{root: newDirectory()} }

// Open is FS.Open.
func (m *Memory) Open(name string, mode Mode) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	n, err := m.find(name)
	if err != nil && mode == Create && m.isDirectory(path.Dir(name)) {
		m.announce(Op{Kind: OpCreate, Name: name})
		n, err = m.create(name)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if n.names != nil {
		return nil, pathError("open", name, syscall.EISDIR)
	}
	return &memoryFile{fs: m, node: n, name: name, mode: mode}, nil
}

// create adds an empty file, unless somebody was faster.
func (m *Memory) create(name string) (*node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, err := m.root.walk(path.Dir(name))
	if err != nil {
		return nil, err
	}
	last := path.Base(name)
	if n := parent.names[last]; n != nil {
		return n, nil
	}
	n := &node{}
	parent.change(rename{to: last, node: n})
	return n, nil
}

// Rename is FS.Rename.
func (m *Memory) Rename(from, to string) error {
	if err := checkRename(from, to); err != nil {
		return err
	}
	if _, err := m.find(from); err != nil {
		return pathError("rename", from, err)
	}
	m.announce(Op{Kind: OpRename, Name: from, To: to})
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, err := m.root.walk(path.Dir(from))
	if err != nil {
		return pathError("rename", from, err)
	}
	if err := parent.rename(path.Base(from), path.Base(to)); err != nil {
		return pathError("rename", from, err)
	}
	return nil
}

// Remove is FS.Remove.
func (m *Memory) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	if name == "." {
		return pathError("remove", name, fs.ErrInvalid)
	}
	if _, err := m.find(name); err != nil {
		return pathError("remove", name, err)
	}
	m.announce(Op{Kind: OpRemove, Name: name})
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, err := m.root.walk(path.Dir(name))
	if err != nil {
		return pathError("remove", name, err)
	}
	if err := parent.remove(path.Base(name)); err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

// MkdirAll is FS.MkdirAll.
func (m *Memory) MkdirAll(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if err := m.mkdir(name[:i]); err != nil {
			return pathError("mkdir", name, err)
		}
	}
	return nil
}

func (m *Memory) mkdir(name string) error {
	n, err := m.find(name)
	if err == nil && n.names == nil {
		return syscall.ENOTDIR
	}
	if err == nil {
		return nil
	}
	m.announce(Op{Kind: OpMkdir, Name: name})
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, err := m.root.walk(path.Dir(name))
	if err != nil {
		return err
	}
	last := path.Base(name)
	if parent.names[last] == nil {
		parent.change(rename{to: last, node: newDirectory()})
	}
	return nil
}

// List is FS.List.
func (m *Memory) List(dir string) ([]Entry, error) {
	if err := checkName("list", dir); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.root.walk(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	if n.names == nil {
		return nil, pathError("list", dir, syscall.ENOTDIR)
	}
	entries := make([]Entry, 0, len(n.names))
	for name, child := range n.names {
		entries = append(entries, Entry{Name: name, Dir: child.names != nil, Size: int64(len(child.data))})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// SyncDir is FS.SyncDir.
func (m *Memory) SyncDir(dir string) error {
	if err := checkName("sync", dir); err != nil {
		return err
	}
	n, err := m.find(dir)
	if err == nil && n.names == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("sync", dir, err)
	}
	m.announce(Op{Kind: OpSyncDir, Name: dir})
	m.mu.Lock()
	defer m.mu.Unlock()
	n.syncNames()
	return nil
}

func (m *Memory) find(name string) (*node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.root.walk(name)
}

func (m *Memory) isDirectory(name string) bool {
	n, err := m.find(name)
	return err == nil && n.names != nil
}

// announce tells the hook. A change without a hook is numbered all the same.
func (m *Memory) announce(op Op) {
	m.mu.Lock()
	m.changes++
	op.Number = m.changes
	m.mu.Unlock()
	if m.Hook != nil {
		m.Hook(op)
	}
}
