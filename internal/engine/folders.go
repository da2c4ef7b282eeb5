package engine

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ravenswood.dev/internal/engine/store"
)

// How long the stores of tasks that work elsewhere are kept.
const (
	// closeAfter is for how long a State stays open that nobody uses: a task that comes back soon finds it warm.
	closeAfter = 10 * time.Minute
	// removeAfter is for how long its folder stays. Most changelogs keep deletions for a day, and a store that was away for
	// longer is restored whole anyway.
	removeAfter = 24 * time.Hour
	// settleAfter is how long a process works before it removes a folder: by then the group has given it its tasks.
	settleAfter = time.Hour
)

// folderNotes is what is known of the folders of a process without opening them, by folder: "totals/3". A file beside them keeps
// it over a restart. It may be older than the folders are, never newer, so that a store is never thought to have more than it
// has; without it nothing is lost but that the group does not know what is here.
type folderNotes map[string]folderNote

// folderNote is what is known of a folder.
type folderNote struct {
	Used   time.Time            `json:"used"`
	Stores map[string]storeNote `json:"stores,omitempty"`
}

// storeNote is what is known of a store on disk.
type storeNote struct {
	Origin  string    `json:"origin"`
	Next    int64     `json:"next"` // its checkpoint
	Current time.Time `json:"current,omitzero"`
}

// maxNotes bounds the file that is read: it has some hundred bytes for each task.
const maxNotes = 64 << 20

// readNotes reads the file; one that is not there or makes no sense is empty.
func readNotes(path string) folderNotes {
	n := make(folderNotes)
	file, err := os.Open(path)
	if err != nil {
		return n
	}
	defer file.Close()
	if err := json.NewDecoder(io.LimitReader(file, maxNotes)).Decode(&n); err != nil || n == nil {
		return make(folderNotes)
	}
	return n
}

// write replaces the file. It is not synced: what a loss of power leaves is empty, or of before.
func (n folderNotes) write(path string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (k *states) notesFile() string { return filepath.Join(k.dir, "folders.json") }

// name is that of a task's folder below those of all tasks.
func (k *states) name(id unitID) string {
	return filepath.Join(k.plan.Stages[id.stage].Name, strconv.Itoa(int(id.n)))
}

// begin reads what an earlier run has noted.
func (k *states) begin(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.began, k.notes = now, readNotes(k.notesFile())
	onDisk := k.onDisk()
	maps.DeleteFunc(k.notes, func(name string, _ folderNote) bool { return !onDisk[name] })
}

// onDisk lists the folders there are. What is not called as a partition is no task's.
func (k *states) onDisk() map[string]bool {
	all := filepath.Join(k.dir, "stages")
	there := make(map[string]bool)
	stages, _ := os.ReadDir(all) // none: nothing was kept yet
	for _, stage := range stages {
		tasks, _ := os.ReadDir(filepath.Join(all, stage.Name()))
		for _, t := range tasks {
			if n, err := strconv.ParseInt(t.Name(), 10, 32); err == nil && n >= 0 && t.IsDir() {
				there[filepath.Join(stage.Name(), t.Name())] = true
			}
		}
	}
	return there
}

// sweep closes the States that nobody has used for a while, removes the folders that nobody has used for long, and notes
// what is known of the others. It is called now and then; what is in use is left alone, however long that takes.
func (k *states) sweep(now time.Time) {
	for _, name := range k.age(now) {
		if err := k.remove(name); err != nil {
			k.log.Warn("a folder of stores that nobody uses is not removed", "folder", name, "err", err)
			continue
		}
		k.log.Info("a folder of stores was removed: its task has worked elsewhere", "folder", name, "after", removeAfter)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.save()
}

// age closes what is to be closed and returns the folders to be removed.
func (k *states) age(now time.Time) (old []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, h := range k.held {
		k.noteTask(id, now)
		switch {
		case h.lent:
			h.idle = time.Time{}
		case h.idle.IsZero():
			h.idle = now
		case now.Sub(h.idle) >= closeAfter:
			k.close(id)
		}
	}
	onDisk := k.onDisk()
	maps.DeleteFunc(k.notes, func(name string, _ folderNote) bool { return !onDisk[name] && !k.inUse(name) })
	for name := range onDisk {
		n, known := k.notes[name]
		switch {
		case !known:
			k.notes[name] = folderNote{Used: now}
		case now.Sub(n.Used) >= removeAfter && now.Sub(k.began) >= settleAfter && !k.inUse(name):
			old = append(old, name)
		}
	}
	return old
}

// inUse says whether the State of a folder is open, or being opened. It is called with mu held.
func (k *states) inUse(name string) bool {
	for id := range k.held {
		if k.name(id) == name {
			return true
		}
	}
	return false
}

// noteTask notes what an open State has on disk. It is called with mu held.
func (k *states) noteTask(id unitID, now time.Time) {
	opts := k.options(id)
	h := k.held[id]
	if opts.Dir == "" {
		return
	}
	n := folderNote{Used: now, Stores: k.notes[k.name(id)].Stores}
	if !h.lent && !h.idle.IsZero() {
		n.Used = k.notes[k.name(id)].Used
	}
	if h.state != nil {
		n.Stores = make(map[string]storeNote)
		for _, s := range opts.Specs {
			if !s.Memory {
				n.Stores[s.Name] = storeNote{Origin: opts.Origins[s.Name], Next: h.state.Checkpoint(s.Name), Current: h.state.Current(s.Name)}
			}
		}
	}
	k.notes[k.name(id)] = n
}

// save writes the notes. It is called with mu held.
func (k *states) save() {
	_, err := os.Stat(k.notesFile())
	if k.began.IsZero() || len(k.notes) == 0 && errors.Is(err, fs.ErrNotExist) {
		return // what is there was not read, or nothing is on disk
	}
	if err := k.notes.write(k.notesFile()); err != nil {
		k.log.Warn("note which stores are here", "err", err)
	}
}

// remove removes a folder that nobody uses. Until it is gone nobody can open it.
func (k *states) remove(name string) error {
	id, known := k.named(name)
	k.mu.Lock()
	if k.inUse(name) {
		k.mu.Unlock()
		return nil
	}
	if known {
		k.held[id] = &heldState{lent: true}
	}
	k.mu.Unlock()
	err := store.Remove(filepath.Join(k.dir, "stages", name))
	k.mu.Lock()
	defer k.mu.Unlock()
	if known {
		delete(k.held, id)
		k.back.Broadcast()
	}
	if err == nil {
		delete(k.notes, name)
	}
	return err
}

// named finds the task of a folder; there may be none any more.
func (k *states) named(name string) (unitID, bool) {
	stage, n := filepath.Split(name)
	partition, err := strconv.ParseInt(n, 10, 32)
	for i := range k.plan.Stages {
		if k.plan.Stages[i].Name == filepath.Clean(stage) && err == nil {
			return unitID{i, int32(partition)}, true
		}
	}
	return unitID{}, false
}

// waiting are the notes of tasks whose stores are here, while nobody uses them.
func (k *states) waiting() map[unitID]folderNote {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[unitID]folderNote)
	for name, n := range k.notes {
		id, ok := k.named(name)
		if h := k.held[id]; ok && (h == nil || !h.lent) {
			all[id] = n
		}
	}
	return all
}

// inWork are the States that somebody uses.
func (k *states) inWork() map[unitID]*store.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[unitID]*store.State)
	for id, h := range k.held {
		if h.lent && h.state != nil {
			all[id] = h.state
		}
	}
	return all
}
