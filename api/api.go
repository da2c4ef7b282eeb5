// Package api is what people write: the kinds Topic, Service, Route and Topology as plain data, in Kubernetes
// resource style, so that the same file can be a custom resource later.
//
// The package holds data only. It imports nothing of ours and decides nothing: package manifest reads files into
// these types, package topology checks and plans them. Every field says in its tags what a reader has to know, and
// the linter, the JSON Schema for editors and the reference pages are all made from those tags:
//
//	yaml      the name in the file
//	doc       one sentence: what it is for, its unit, what zero means
//	default   the value when the field is left out, as it would be written
//	enum      the allowed values, separated by |
//	required  "true" if the field must be there
//	example   one value to copy
//	secret    "true" if the value must never be printed
//	state     "free" if a bolt's store stays right whatever the setting is changed to; any other change of its bolt's
//	          settings makes it another store, see package topology
//	names     "node" if the keys of the map are names of spouts, bolts, sinks or tables
package api

// Version is the apiVersion every resource file carries.
const Version = "ravenswood.dev/v1alpha1"

// The kinds, as written in a file.
const (
	KindTopic    = "Topic"
	KindService  = "Service"
	KindRoute    = "Route"
	KindTopology = "Topology"
)

// Metadata names a resource and its owner.
type Metadata struct {
	Name   string            `yaml:"name" required:"true" doc:"The resource's name: lower-case letters, digits, '-' and '.', unique within its kind." example:"enricher"`
	Team   string            `yaml:"team" doc:"The one team that owns the resource." example:"platform"`
	Labels map[string]string `yaml:"labels" doc:"Free labels, kept and shown, never interpreted."`
}
