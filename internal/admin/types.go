package admin

import (
	"context"
	"net/http"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/router"
)

// Node is what the API shows and steers.
type Node interface {
	// Status is the numbers of now; it does not block.
	Status() Status
	// Ready returns nil if everything that the node is to run runs, else what does not.
	Ready() error
	// Routes lists the routes as they are now, by service.
	Routes() []RouteView
	// EditRoute changes a route and returns when this process decides by it. An edit of nil takes back what was
	// changed at run time, so that the files hold again.
	EditRoute(ctx context.Context, service string, edit Edit) (RouteChange, error)
}

// Asked is a Node whose topologies have tables.
type Asked interface {
	// Tables serves questions about tables and takes records. It is called once.
	Tables() http.Handler
}

// Edit returns a changed copy of a route.
type Edit func(api.RouteSpec) (api.RouteSpec, error)

// Status is what a node knows of itself.
type Status struct {
	Node       NodeStatus             `json:"node"`
	Topologies []TopologyStatus       `json:"topologies"`
	Services   []router.ServiceStatus `json:"services"`
	Processes  []ProcessStatus        `json:"processes"`
}

// TopologyStatus is a topology's numbers, and why it stopped if it did.
type TopologyStatus struct {
	engine.Status
	DeadWaiting int    `json:"deadWaiting"` // dead letters that were neither replayed nor dropped, of all processes and times
	Error       string `json:"error,omitempty"`
}

// NodeStatus is the process.
type NodeStatus struct {
	ID       string    `json:"id"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Ready    string    `json:"notReady,omitempty"` // why not, if it is not
	Brokers  []string  `json:"brokers"`
	Embedded bool      `json:"embedded"` // the broker runs in this process
	Dir      string    `json:"dir"`
	Data     string    `json:"data"`
	// Conditions are what lasts and a person has to look after; none when all is well.
	Conditions []Condition `json:"conditions,omitempty"`
}

// A Condition is lasting trouble, in the same words on every face.
type Condition struct {
	Code  string `json:"code"`  // does not change, for alerts
	Title string `json:"title"` // what is so
	Text  string `json:"text"`  // what it means now
	Hint  string `json:"hint"`  // what to do
}

// ProcessStatus is a local process of a service version that this node runs.
type ProcessStatus struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	State    string `json:"state"`
	PID      int    `json:"pid,omitempty"`
	URL      string `json:"url,omitempty"`
	Restarts int    `json:"restarts"`
	Error    string `json:"error,omitempty"` // why it is not running, if it is not
}

// RouteView is a service's route as it is decided by.
type RouteView struct {
	Service    string        `json:"service"`
	Versions   []string      `json:"versions"`
	Route      api.RouteSpec `json:"route"`
	Source     string        `json:"source"`               // files, or run time
	Generation int           `json:"generation,omitempty"` // of a change at run time
	Changed    *time.Time    `json:"changed,omitempty"`
}

// The sources of a route.
const (
	SourceFiles   = "files"
	SourceRunTime = "run time"
)

// RouteChange is what a change did.
type RouteChange struct {
	Before RouteView `json:"before"`
	After  RouteView `json:"after"`
	Millis float64   `json:"tookMillis"` // from the request until this process decided by it
}

// The bodies of requests that change a route.
type (
	switchRequest struct {
		Version string `json:"version"` // empty takes the switch off
	}
	splitRequest struct {
		Shares []api.Share `json:"shares"` // none takes the split away
	}
	matchRequest struct {
		Rule   *api.Rule `json:"rule,omitempty"`
		Remove string    `json:"remove,omitempty"` // name or position of a rule
	}
	mirrorRequest struct {
		Mirror *api.Mirror `json:"mirror"` // null ends it
	}
)

// Error is how the API says no.
type Error struct {
	Status  int    `json:"-"`
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Message }
