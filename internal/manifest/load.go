package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// Bounds on what a stranger can make us hold. They are far above anything written by hand.
const (
	fileBytesMax = 16 << 20
	filesMax     = 1000
	valuesMax    = 500_000 // values of one document, aliases counted each time they are used
	depthMax     = 64
	problemsMax  = 1000 // per file; more help nobody

	separatorsMax = 4 * valuesMax // of one file: what the parser would make values of, a hundred bytes of memory each
)

type resourceID struct{ kind, name string }

// loader gathers the resources and problems of all files.
type loader struct {
	reg      *component.Registry
	set      *Set
	problems []Problem
	fields   fieldCache
}

func newLoader(reg *component.Registry) *loader {
	return &loader{reg: reg, set: &Set{places: map[resourceID]*places{}}, fields: fieldCache{}}
}

func (l *loader) report(p Problem) { l.problems = append(l.problems, p) }

func (l *loader) unreadable(file string, err error, hint string) {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // the message names the file already
	}
	l.set.Incomplete = true
	l.report(Problem{File: file, Code: CodeFileUnreadable, Severity: SeverityError, Hint: hint,
		Message: "read " + quote(file) + ": " + err.Error()})
}

// files lists the files a path stands for, sorted.
func (l *loader) files(path string) []string {
	info, err := os.Stat(path)
	if err != nil {
		l.unreadable(path, err, "give a folder with resource files, or one file")
		return nil
	}
	if !info.IsDir() {
		return []string{path}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		l.unreadable(path, err, "")
		return nil
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) > filesMax {
		l.unreadable(path, fmt.Errorf("%d resource files, at most %d are read", len(files), filesMax), "split the folder")
		return nil
	}
	return files
}

func (l *loader) file(file string) {
	data, err := readBounded(file)
	if err != nil {
		l.unreadable(file, err, "")
		return
	}
	l.documents(file, filepath.Dir(file), data)
}

// readBounded reads a regular file. A pipe or device is refused, since reading it may never end.
func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(data) > fileBytesMax {
		err = fmt.Errorf("larger than %d MB", fileBytesMax>>20)
	}
	return data, err
}

// documents reads every document of a file. What stands before malformed YAML is read, what follows it cannot be.
func (l *loader) documents(file, dir string, data []byte) {
	if separators(data) > separatorsMax {
		l.set.Incomplete = true
		l.report(Problem{File: file, Line: 1, Code: CodeTooLarge, Severity: SeverityError, Hint: "split it",
			Message: fmt.Sprintf("read %s: more than %d values", quote(file), separatorsMax)})
		return
	}
	first := len(l.problems)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for len(l.problems)-first < problemsMax {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.set.Incomplete = true
			l.report(malformed(file, data, err))
			break
		}
		l.document(file, dir, data, &document)
	}
	if len(l.problems)-first > problemsMax {
		l.problems = l.problems[:first+problemsMax]
	}
}

// separators counts what stands between values, before anything is parsed. Text has some too, but not millions.
func separators(data []byte) int {
	n := 0
	for _, s := range []string{"\n", ",", "[", "{"} {
		n += bytes.Count(data, []byte(s))
	}
	return n
}

func (l *loader) document(file, dir string, data []byte, document *yaml.Node) {
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		return // only comments
	}
	root := document.Content[0]
	d := &decoder{loader: l, file: file, data: data, places: newPlaces(file)}
	if !d.bounded(root) {
		l.set.Incomplete = true
		return
	}
	if root.Kind != yaml.MappingNode {
		l.set.Incomplete = true
		d.mismatch(root, "", "a resource with apiVersion, kind, metadata and spec")
		return
	}
	d.resource(root, dir)
}

// resource reads apiVersion and kind, and the rest as that kind.
func (d *decoder) resource(root *yaml.Node, dir string) {
	d.places.mark("", positionOf(root))
	head := d.header(root)
	src := Source{File: d.file, Dir: dir, Line: root.Line, Column: root.Column}
	set := d.loader.set
	switch head.kind {
	case api.KindTopic:
		addResource(d, head, &set.Topics, src, func(t *Topic) (any, *Source, *api.Metadata) { return &t.Topic, &t.Source, &t.Metadata })
	case api.KindService:
		addResource(d, head, &set.Services, src, func(s *Service) (any, *Source, *api.Metadata) { return &s.Service, &s.Source, &s.Metadata })
	case api.KindRoute:
		addResource(d, head, &set.Routes, src, func(r *Route) (any, *Source, *api.Metadata) { return &r.Route, &r.Source, &r.Metadata })
	case api.KindTopology:
		addResource(d, head, &set.Topologies, src, func(t *Topology) (any, *Source, *api.Metadata) { return &t.Topology, &t.Source, &t.Metadata })
	default:
		set.Incomplete = true
	}
}

// addResource decodes a resource of one kind and adds it to the set under its name, if it has one and the first to have it.
func addResource[T any](d *decoder, head header, all *[]T, src Source, parts func(*T) (any, *Source, *api.Metadata)) {
	resource := new(T)
	into, source, meta := parts(resource)
	d.fill(into, head.rest)
	*source = src
	name := meta.Name
	if name != "" {
		d.checkResourceName(name)
	}
	source.Broken = d.errors > 0
	if name == "" {
		d.loader.set.Incomplete = true
		return // reported as missing
	}
	id := resourceID{head.kind, name}
	if first, twice := d.loader.set.places[id]; twice {
		d.duplicate(id, first)
		return
	}
	d.loader.set.places[id] = d.places
	*all = append(*all, *resource)
}

func (d *decoder) duplicate(id resourceID, first *places) {
	there, here := first.find("metadata.name"), d.places.find("metadata.name")
	const hint = "rename one of the two, or remove it"
	say := func(file string, at, other position, otherFile, how string) Problem {
		return Problem{File: file, Line: at.line, Column: at.column, Path: "metadata.name", Code: CodeDuplicate, Severity: SeverityError,
			Message: fmt.Sprintf("read %s %q: declared twice, %s at %s:%d:%d", id.kind, id.name, how, otherFile, other.line, other.column), Hint: hint}
	}
	d.loader.report(say(d.file, here, there, first.file, "first"))
	d.loader.report(say(first.file, there, here, d.file, "again"))
}

// header is the two keys every resource begins with, and what follows them.
type header struct {
	kind string // empty if unknown
	rest []pair
}

func kinds() []string {
	return []string{api.KindTopic, api.KindService, api.KindRoute, api.KindTopology}
}

func (d *decoder) header(root *yaml.Node) header {
	var h header
	var version, kind *yaml.Node
	for _, p := range d.pairs(root, "") {
		switch p.key.Value {
		case "apiVersion":
			version = resolve(p.value)
		case "kind":
			kind = resolve(p.value)
		default:
			h.rest = append(h.rest, p)
		}
	}
	switch {
	case version == nil:
		d.problem(root, "apiVersion", CodeMissingKey, `read resource: "apiVersion" is missing`, `write "apiVersion: `+api.Version+`"`)
	case version.Value != api.Version:
		d.problem(version, "apiVersion", CodeVersionUnknown, "read apiVersion "+quote(version.Value)+": not known", `write "`+api.Version+`"`)
	}
	switch {
	case kind == nil:
		d.problem(root, "kind", CodeMissingKey, `read resource: "kind" is missing`, Suggest("", kinds()))
	case !slices.Contains(kinds(), kind.Value):
		d.problem(kind, "kind", CodeUnknownKind, "read kind "+quote(kind.Value)+": not known", Suggest(kind.Value, kinds()))
	default:
		h.kind = kind.Value
	}
	return h
}

var (
	resourceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$`)
)

const nameMax = 100 // leaves room for what is added to make the names of internal topics, at most 249 characters

func (d *decoder) checkResourceName(name string) {
	if len(name) <= nameMax && resourceName.MatchString(name) && !strings.Contains(name, "..") {
		return
	}
	at := d.places.find("metadata.name")
	d.problemAt(at, "metadata.name", CodeNameInvalid, "read name "+quote(name)+": want lower-case letters, digits, '-' and '.', "+
		"beginning and ending with a letter or digit, at most "+strconv.Itoa(nameMax)+" characters", "")
}

// malformed turns the YAML parser's error into a problem at the place it names. The parser leaves out the line if it is
// the first, counts from 0 in some of its messages, and never tells the column.
func malformed(file string, data []byte, err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	at := position{line: 1}
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			at.line, _ = strconv.Atoi(number)
			message = text
		}
		if slices.Contains(countedFromZero, message) {
			at.line++
		}
	}
	at.line = min(at.line, 1+bytes.Count(bytes.TrimRight(data, " \t\r\n"), []byte("\n")))
	hint := ""
	switch {
	case strings.Contains(message, "tab character"), strings.Contains(message, "cannot start any token"):
		at.column, hint = badCharacter(lineOf(data, at.line))
	case strings.Contains(message, "control characters"):
		hint = "remove the control character, or save the file as UTF-8 text"
	case strings.Contains(message, "mapping values are not allowed"):
		hint = "check the indentation of this line and the one above; put a value that contains ': ' in quotes"
	case strings.HasPrefix(message, "unknown anchor"):
		at = placeOfAlias(data, message)
		hint = "define the anchor with & above, or put a value that begins with * in quotes"
	}
	return Problem{File: file, Line: at.line, Column: at.column, Code: CodeYAMLInvalid, Severity: SeverityError,
		Message: "read YAML: " + message, Hint: hint}
}

// countedFromZero are the messages with which the YAML parser (not its scanner) names a line, counted from 0.
var countedFromZero = []string{
	"did not find expected '-' indicator",
	"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected <document start>",
}

func badCharacter(line string) (column int, hint string) {
	if i := strings.IndexByte(line, '\t'); i >= 0 && strings.TrimSpace(line[:i]) == "" {
		return i + 1, "indent with spaces, not tabs"
	}
	if i := strings.IndexAny(line, "@`%"); i >= 0 {
		return len([]rune(line[:i])) + 1, "put the value in quotes"
	}
	return 0, "put the value in quotes"
}

func placeOfAlias(data []byte, message string) position {
	_, name, _ := strings.Cut(message, "'")
	name, _, _ = strings.Cut(name, "'")
	i := bytes.Index(data, []byte("*"+name))
	if name == "" || i < 0 {
		return position{line: 1}
	}
	line := 1 + bytes.Count(data[:i], []byte("\n"))
	start := bytes.LastIndexByte(data[:i], '\n') + 1
	return position{line: line, column: len([]rune(string(data[start:i]))) + 1}
}

// lineOf returns one line of the file, empty if there is no such line.
func lineOf(data []byte, line int) string {
	for ; line > 1; line-- {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return ""
		}
		data = data[i+1:]
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	return strings.TrimSuffix(string(text), "\r")
}
