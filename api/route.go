package api

// Route declares how a call picks a version of a service. Each service has at most one route; a service with one
// version needs none.
type Route struct {
	Metadata Metadata  `yaml:"metadata" required:"true" doc:"Name and owner."`
	Spec     RouteSpec `yaml:"spec" required:"true" doc:"The decision."`
}

// RouteSpec is decided in this order: Switch, the first rule that matches, Split, Default.
// It is also what is stored when a route is changed at run time, hence the json tags.
type RouteSpec struct {
	Service string  `yaml:"service" json:"service" required:"true" doc:"The service this route is for." example:"users"`
	Switch  string  `yaml:"switch" json:"switch,omitempty" doc:"Version that answers every call, before any rule; empty for none." example:"v2"`
	Rules   []Rule  `yaml:"rules" json:"rules,omitempty" doc:"Rules, tried in order; the first that matches decides."`
	Split   *Split  `yaml:"split" json:"split,omitempty" doc:"Share of keys by version, for calls that no rule matched."`
	Default string  `yaml:"default" json:"default" required:"true" doc:"Version for everything else." example:"v1"`
	Mirror  *Mirror `yaml:"mirror" json:"mirror,omitempty" doc:"Shadow calls to another version, compared and counted, never used."`
}

// Rule sends calls that match all its conditions to one version.
type Rule struct {
	Name    string  `yaml:"name" json:"name,omitempty" doc:"The rule's name, shown in status and metrics; empty takes its position."`
	Match   []Match `yaml:"match" json:"match" required:"true" doc:"Conditions; all must hold."`
	Version string  `yaml:"version" json:"version" required:"true" doc:"Version that answers."`
}

// Match is one condition on a field of the event or on a header. Exactly one of Field and Header, and exactly one
// of Equals, In, Prefix and Exists. Values are compared as text: 7 in the event equals "7" here.
type Match struct {
	Field  string   `yaml:"field" json:"field,omitempty" doc:"Path of a field in the event." example:"user.segment"`
	Header string   `yaml:"header" json:"header,omitempty" doc:"Name of a header, case-insensitive." example:"x-segment"`
	Equals *string  `yaml:"equals" json:"equals,omitempty" doc:"Holds if the value is this."`
	In     []string `yaml:"in" json:"in,omitempty" doc:"Holds if the value is one of these."`
	Prefix string   `yaml:"prefix" json:"prefix,omitempty" doc:"Holds if the value begins with this."`
	Exists *bool    `yaml:"exists" json:"exists,omitempty" doc:"Holds if the field or header is there (true) or missing (false)."`
	Not    bool     `yaml:"not" json:"not,omitempty" doc:"Turns the condition round."`
}

// Split gives shares of keys to versions. A key's place is a hash of salt and key, so the same key always gets the
// same answer, and growing a version's share only adds keys to it. The rest goes to the route's default.
type Split struct {
	Key      string  `yaml:"key" json:"key,omitempty" doc:"Field of the event whose value is the key; empty takes the record's key." example:"userId"`
	Salt     string  `yaml:"salt" json:"salt,omitempty" doc:"Changes which keys come first; empty takes the service's name."`
	Versions []Share `yaml:"versions" json:"versions" required:"true" doc:"Shares; together at most 100 %."`
}

// Share is a version's percentage.
type Share struct {
	Version string  `yaml:"version" json:"version" required:"true" doc:"The version."`
	Percent Percent `yaml:"percent" json:"percent" required:"true" doc:"Its share of keys, in hundredths of a percent at the finest." example:"12.5%"`
}

// Mirror sends a copy of calls to a version whose answers are only compared.
type Mirror struct {
	Version string   `yaml:"version" json:"version" required:"true" doc:"Version that gets the shadow calls."`
	Percent Percent  `yaml:"percent" json:"percent" default:"100%" doc:"Share of keys that are mirrored."`
	Ignore  []string `yaml:"ignore" json:"ignore,omitempty" doc:"Fields of the answers left out of the comparison." example:"[servedAt]"`
}
