package disk

// A Kind says what an operation does.
type Kind int

// The kinds of operations. Those that change something, or make a change last, come to Memory's Hook; Faulty counts and
// fails all of them.
const (
	OpCreate   Kind = iota // a file is made by Open
	OpWrite                // bytes of a file
	OpTruncate             // length of a file
	OpSync                 // a file is synced
	OpRename               // a name is replaced
	OpRemove               // a name goes
	OpMkdir                // one directory is made by MkdirAll
	OpSyncDir              // a directory is synced
	OpOpen                 // a file that is there is opened
	OpRead                 // bytes are read
	OpList                 // a directory is read
	kinds
)

func (k Kind) String() string {
	return [kinds]string{
		"create", "write", "truncate", "sync", "rename", "remove", "mkdir", "sync directory", "open", "read", "list",
	}[k]
}

// An Op is one change of a Memory that is about to happen.
type Op struct {
	Number int64  // counts from 1 through all changes of a Memory
	Kind   Kind   //
	Name   string // what is changed; for a file the name that it was opened with
	To     string // of a rename
	Bytes  int    // bytes still to be written; length after a truncate
	Middle bool   // a part of this write has been done
}
