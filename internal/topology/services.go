package topology

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/manifest"
)

var (
	versionName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // a token of RFC 9110
)

const (
	versionNameMax = 100
	addressHint    = "for example: http://127.0.0.1:9001"
)

// service checks a Service resource.
func (c *checker) service(s manifest.Service) {
	here := at{kind: api.KindService, name: s.Metadata.Name}
	if s.Broken {
		return
	}
	c.serviceLimits(here.in("spec"), s.Spec)
	if f := s.Spec.Fallback; f != nil && !json.Valid([]byte(f.Answer)) {
		c.errorf(here.in("spec.fallback.answer"), CodeJSONInvalid, `for example: answer: '{"segment":"unknown"}'`, "read fallback answer: it is not JSON")
	}
	names := map[string]bool{}
	for i, v := range s.Spec.Versions {
		place := here.in("spec.versions[%d]", i)
		if len(v.Name) > versionNameMax || !versionName.MatchString(v.Name) {
			c.errorf(place.in("name"), manifest.CodeNameInvalid, "", "read version name %q: want letters, digits, '-', '_' and '.', at most %d characters", v.Name, versionNameMax)
		}
		if names[v.Name] {
			c.errorf(place.in("name"), CodeDuplicateName, "rename one of the two", "read service %q: it has two versions %q", s.Metadata.Name, v.Name)
		}
		names[v.Name] = true
		c.version(place, v)
	}
	if _, ok := c.set.Route(s.Metadata.Name); !ok && len(s.Spec.Versions) > 1 && !c.unclearRoutes() {
		c.errorf(here.in("metadata.name"), CodeRouteMissing, "add a resource of kind Route with a default version",
			"plan service %q: it has %d versions and no route that decides between them", s.Metadata.Name, len(s.Spec.Versions))
	}
}

// unclearRoutes says whether there is a route of which nobody knows which service it is for.
func (c *checker) unclearRoutes() bool {
	for _, r := range c.set.Routes {
		if r.Broken && r.Spec.Service == "" {
			return true
		}
	}
	return false
}

func (c *checker) serviceLimits(spec at, s api.ServiceSpec) {
	need := func(ok bool, path, want string, got any) {
		if !ok {
			c.errorf(spec.in("%s", path), CodeLimitInvalid, "", "read %s.%s \"%v\": must be %s", spec.path, path, got, want)
		}
	}
	need(strings.HasPrefix(s.Path, "/"), "path", "a path that begins with /", s.Path)
	need(s.Timeout > 0, "timeout", "above 0", s.Timeout)
	need(s.MaxAnswer > 0, "maxAnswer", "above 0", s.MaxAnswer)
	need(s.InFlight >= 1, "inFlight", "at least 1", s.InFlight)
	need(s.Retries.PerSecond >= 0, "retryBudget.perSecond", "0 or more", s.Retries.PerSecond)
	if b := s.Breaker; b.Failures > 0 {
		need(b.MinCalls >= 1, "breaker.minCalls", "at least 1", b.MinCalls)
		need(b.Window > 0, "breaker.window", "above 0", b.Window)
		need(b.Open > 0, "breaker.open", "above 0", b.Open)
	}
}

// version checks that it is clear where a version runs.
func (c *checker) version(here at, v api.ServiceVersion) {
	var forms []string
	if v.URL != "" {
		forms = append(forms, "url")
		c.address(here.in("url"), v.URL)
	}
	if len(v.URLs) > 0 {
		forms = append(forms, "urls")
		for i, u := range v.URLs {
			c.address(here.in("urls[%d]", i), u)
		}
	}
	if len(v.Exec) > 0 {
		forms = append(forms, "exec")
		c.process(here, v)
	}
	switch {
	case len(forms) == 0:
		c.errorf(here, CodeAddressInvalid, "write url or urls for a version that runs already, exec for one that raven starts",
			"read version %q: it has none of url, urls and exec", v.Name)
	case len(forms) > 1:
		c.errorf(here.in("%s", forms[1]), CodeAddressInvalid, "keep one of them", "read version %q: it has %s", v.Name, strings.Join(forms, " and "))
	}
}

func (c *checker) process(here at, v api.ServiceVersion) {
	if v.Exec[0] == "" {
		c.errorf(here.in("exec"), CodeAddressInvalid, "", "read version %q: the command is empty", v.Name)
	}
	if !strings.HasPrefix(v.Health, "/") {
		c.errorf(here.in("health"), CodeLimitInvalid, "", "read health path %q: must begin with /", v.Health)
	}
	if v.Start <= 0 {
		c.errorf(here.in("startTimeout"), CodeLimitInvalid, "", "read startTimeout \"%v\": must be above 0", v.Start)
	}
}

// address checks a version's URL, to which the service's path is appended.
func (c *checker) address(here at, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		c.errorf(here, CodeAddressInvalid, addressHint, "read address: not a URL") // the error would repeat the address, which may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		c.errorf(here, CodeAddressInvalid, addressHint, "read address %q: want an absolute http or https URL", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		c.errorf(here, CodeAddressInvalid, "", "read address %q: it may not have a query or fragment, the service's path follows it", u.Redacted())
	}
}

// routes checks the Route resources.
func (c *checker) routes() {
	byService := map[string]string{}
	for _, r := range c.set.Routes {
		if r.Spec.Service == "" {
			continue // reported as missing
		}
		here := at{kind: api.KindRoute, name: r.Metadata.Name}
		if first, twice := byService[r.Spec.Service]; twice {
			c.errorf(here.in("spec.service"), CodeDuplicateRoute, "merge the two", "read route %q: route %q is for service %q already", r.Metadata.Name, first, r.Spec.Service)
		}
		byService[r.Spec.Service] = r.Metadata.Name
		if !r.Broken {
			c.route(here.in("spec"), r.Spec)
		}
	}
}

func (c *checker) route(spec at, r api.RouteSpec) {
	service, ok := c.set.Service(r.Service)
	if !ok {
		var known []string
		for _, s := range c.set.Services {
			known = append(known, s.Metadata.Name)
		}
		c.errorf(spec.in("service"), CodeUnknownService, manifest.Suggest(r.Service, known), "read route %q: service %q is not declared", spec.name, r.Service)
	}
	for _, p := range CheckRoute(r, versionsOf(service)) {
		if service.Broken && p.Code == CodeUnknownVersion || !ok && p.Code == CodeUnknownVersion {
			continue // the service is the mistake, not the versions
		}
		c.errorf(spec.in("%s", p.Path), p.Code, p.Hint, "%s", p.Message)
	}
}

func versionsOf(s manifest.Service) []string {
	var names []string
	for _, v := range s.Spec.Versions {
		names = append(names, v.Name)
	}
	return names
}
