// Package manifest reads the resource files people write into the types of package api, strictly, and reports
// everything that is wrong with all of them at once, each problem with its place.
//
// The struct tags described in package api are the only declaration there is: the decoder, the effective config, the
// JSON Schema for editors and the reference pages are all made from them, for the kinds and for every component's
// settings alike.
//
// A Set does not change after Load and may be read from any goroutine. A problem in one resource does not hide those of
// another: what could be read is in the Set even if there are errors, with Broken set where something is missing. Do not
// run anything from a Set whose problems include an error.
package manifest

import (
	"cmp"
	"slices"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// Set is every resource of a folder, each kind sorted by name.
type Set struct {
	Topics     []Topic
	Services   []Service
	Routes     []Route
	Topologies []Topology

	// Incomplete says that something could not be read so far as to be a resource with a name: what seems to be
	// missing from the Set may be written there.
	Incomplete bool

	places map[resourceID]*places
}

// Source is where a resource was written.
type Source struct {
	File   string // as given to Load, joined with the file's name
	Dir    string // folder of the file, against which relative paths are read
	Line   int
	Column int
	Broken bool // Load reported an error in it, so parts may be missing
}

// Topic is a Topic resource and its place.
type Topic struct {
	api.Topic
	Source
	Open TopicOpen
}

// TopicOpen says what nobody has said of a topic, as programs may: one that exists keeps what it has. A file leaves nothing
// open.
type TopicOpen struct {
	Partitions bool
	Retention  bool // how long records are kept, and whether they are compacted
}

// Service is a Service resource and its place.
type Service struct {
	api.Service
	Source
}

// Route is a Route resource and its place.
type Route struct {
	api.Route
	Source
}

// Topology is a Topology resource and its place.
type Topology struct {
	api.Topology
	Source
}

// Load reads a folder (every *.yaml and *.yml file in it, not in its subfolders) or a single file. The Set is never nil;
// the problems are sorted by place.
func Load(path string, reg *component.Registry) (*Set, []Problem) {
	l := newLoader(reg)
	for _, file := range l.files(path) {
		l.file(file)
	}
	if len(l.problems) == 0 && l.empty() {
		l.report(Problem{File: path, Code: CodeNothingFound, Severity: SeverityError,
			Message: "read " + quote(path) + ": no resources in it",
			Hint:    "resources are YAML documents with apiVersion and kind in *.yaml or *.yml files; subfolders are not read"})
	}
	return l.result(), Sort(l.problems)
}

// Parse reads the documents of one file that is already in memory. Dir is the folder relative paths start from.
func Parse(file, dir string, data []byte, reg *component.Registry) (*Set, []Problem) {
	l := newLoader(reg)
	l.documents(file, dir, data)
	return l.result(), Sort(l.problems)
}

// Locate finds the place of a path such as "spec.bolts.users.call.service" in a resource; a path that is not in the file
// is placed at its nearest parent that is. Line is 0 for a resource that was not read from a file.
func (s *Set) Locate(kind, name, path string) (file string, line, column int) {
	p, ok := s.places[resourceID{kind, name}]
	if !ok {
		return "", 0, 0
	}
	at := p.find(path)
	return p.file, at.line, at.column
}

// Topic finds a topic by name.
func (s *Set) Topic(name string) (Topic, bool) {
	return find(s.Topics, name, func(t Topic) string { return t.Metadata.Name })
}

// Service finds a service by name.
func (s *Set) Service(name string) (Service, bool) {
	return find(s.Services, name, func(v Service) string { return v.Metadata.Name })
}

// Route finds the route of a service.
func (s *Set) Route(service string) (Route, bool) {
	return find(s.Routes, service, func(r Route) string { return r.Spec.Service })
}

// Topology finds a topology by name.
func (s *Set) Topology(name string) (Topology, bool) {
	return find(s.Topologies, name, func(t Topology) string { return t.Metadata.Name })
}

func find[T any](all []T, name string, nameOf func(T) string) (found T, ok bool) {
	i := slices.IndexFunc(all, func(v T) bool { return nameOf(v) == name })
	if i < 0 {
		return found, false
	}
	return all[i], true
}

func (l *loader) empty() bool {
	s := l.set
	return len(s.Topics)+len(s.Services)+len(s.Routes)+len(s.Topologies) == 0
}

func (l *loader) result() *Set {
	s := l.set
	sortByName(s.Topics, func(t Topic) string { return t.Metadata.Name })
	sortByName(s.Services, func(v Service) string { return v.Metadata.Name })
	sortByName(s.Routes, func(r Route) string { return r.Metadata.Name })
	sortByName(s.Topologies, func(t Topology) string { return t.Metadata.Name })
	return s
}

func sortByName[T any](all []T, nameOf func(T) string) {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(nameOf(a), nameOf(b)) })
}
