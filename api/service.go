package api

// Service declares an HTTP service that enriches records, with all its versions side by side.
type Service struct {
	Metadata Metadata    `yaml:"metadata" required:"true" doc:"Name and owner."`
	Spec     ServiceSpec `yaml:"spec" required:"true" doc:"How the service is called and which versions of it there are."`
}

// ServiceSpec says how a service is called and what protects it and its callers.
type ServiceSpec struct {
	Path      string           `yaml:"path" default:"/" doc:"Path of the request, appended to the version's address." example:"/enrich"`
	Method    string           `yaml:"method" default:"POST" enum:"POST|PUT" doc:"HTTP method of a call."`
	Timeout   Duration         `yaml:"timeout" default:"2s" doc:"Longest time one attempt may take." example:"500ms"`
	MaxAnswer Size             `yaml:"maxAnswer" default:"1MB" doc:"Largest answer that is read; a larger one is an error of that call."`
	InFlight  int              `yaml:"inFlight" default:"1024" doc:"Most calls in flight to this service from one process."`
	Breaker   Breaker          `yaml:"breaker" doc:"When calls to a version stop for a while because it keeps failing."`
	Retries   RetryBudget      `yaml:"retryBudget" doc:"How many retries the callers of one process may add to the first attempts."`
	Fallback  *Fallback        `yaml:"fallback" doc:"The answer to give when the service is down; without it records wait."`
	Versions  []ServiceVersion `yaml:"versions" required:"true" doc:"The versions, side by side."`
}

// ServiceVersion is one immutable build of a service: something that already runs (urls), or a local process that
// raven starts (exec). Exactly one of the two.
type ServiceVersion struct {
	Name   string            `yaml:"name" required:"true" doc:"The version's name." example:"v1"`
	URL    string            `yaml:"url" doc:"Address of a version that already runs." example:"http://127.0.0.1:9001"`
	URLs   []string          `yaml:"urls" doc:"Several addresses of one version; calls go round and failing ones are left out for a while."`
	Exec   []string          `yaml:"exec" doc:"Command of a local process to start; $PORT in an argument, and the variable PORT, is the port it must listen on. The word raven as command means this program." example:"[./users, --port, $PORT]"`
	Dir    string            `yaml:"dir" doc:"Folder the process starts in, relative to the file; empty is the file's folder."`
	Env    map[string]string `yaml:"env" doc:"Further environment variables of the process. A value of the form ${NAME} is taken from raven's own environment, so that secrets stay out of files." secret:"true"`
	Health string            `yaml:"health" default:"/health" doc:"Path that answers 200 when the process is ready."`
	Start  Duration          `yaml:"startTimeout" default:"30s" doc:"How long a process may take until its health path answers."`
	Stop   Duration          `yaml:"stopTimeout" default:"5s" doc:"How long a process may take to stop before it is killed."`
}

// Breaker opens when a share of a version's recent calls failed, and lets one call through after a while.
type Breaker struct {
	Failures Percent  `yaml:"failures" default:"50%" doc:"Share of failed calls within the window that opens the breaker; 0% switches it off."`
	MinCalls int      `yaml:"minCalls" default:"20" doc:"Fewest calls within the window before the share counts."`
	Window   Duration `yaml:"window" default:"10s" doc:"Length of the window."`
	Open     Duration `yaml:"open" default:"1s" doc:"How long the breaker stays open before one call may try."`
}

// RetryBudget keeps retries from multiplying the load on a service in trouble.
type RetryBudget struct {
	Percent   Percent `yaml:"percent" default:"20%" doc:"Retries allowed as a share of first attempts in the last ten seconds."`
	PerSecond int     `yaml:"perSecond" default:"10" doc:"Retries a second that are always allowed."`
}

// Fallback is the degraded answer for a service that is down.
type Fallback struct {
	Answer string `yaml:"answer" required:"true" doc:"The answer, as JSON text." example:"'{\"segment\":\"unknown\"}'"`
}
