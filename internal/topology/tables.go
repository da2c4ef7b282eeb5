package topology

import (
	"maps"
	"slices"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/manifest"
)

// tableComponent is the bolt that keeps a table. Its settings are called as those of a tables section are: store, global,
// history and retention.
const tableComponent = "table"

// withTables writes the tables section of a topology out: each table is a bolt of its name, fed by a topic spout. One
// that reads the same topic in the same format already feeds it too; else the table gets its own, "<table>.topic".
func (c *checker) withTables(here at, spec api.TopologySpec, reg *component.Registry) (full api.TopologySpec, written map[string]string) {
	written = map[string]string{}
	if len(spec.Tables) == 0 {
		return spec, written
	}
	spec.Spouts, spec.Bolts = clone(spec.Spouts), clone(spec.Bolts)
	definition, ok := reg.Lookup(component.KindBolt, tableComponent)
	if !ok {
		c.errorf(here.in("tables"), manifest.CodeUnknownComponent, "", "read tables: this program has no component %q", tableComponent)
		return spec, written
	}
	for _, name := range sortedKeys(spec.Tables) {
		place := here.in("tables.%s", name)
		if kind := taken(spec, name); kind != "" {
			c.errorf(place, CodeDuplicateName, "rename one of the two", "read table %q: a %s has this name already", name, kind)
			continue
		}
		t := spec.Tables[name]
		config, problems := manifest.Settings(definition, tableSettings(t))
		for _, p := range problems {
			c.errorf(place.in("%s", p.Path), p.Code, p.Hint, "%s", p.Message)
		}
		spout := spoutOf(spec, t.Topic)
		if spout == "" {
			spout = name + ".topic"
			spec.Spouts[spout] = spoutFor(t.Topic)
			written[spout] = "tables." + name
		}
		spec.Bolts[name] = api.Node{From: []string{spout}, Component: tableComponent, Config: config}
		written[name] = "tables." + name
	}
	return spec, written
}

// tableSettings are a table's settings for its bolt. What is not wanted is not said.
func tableSettings(t api.Table) map[string]string {
	settings := map[string]string{}
	say := func(wanted bool, key, value string) {
		if wanted {
			settings[key] = value
		}
	}
	say(t.Store != "" && t.Store != "disk", "store", t.Store)
	say(t.Global, "global", "true")
	say(t.History > 0, "history", time.Duration(t.History).String())
	say(t.Retention > 0, "retention", time.Duration(t.Retention).String())
	return settings
}

// taken says what has a name in a topology; empty if nothing has.
func taken(spec api.TopologySpec, name string) component.Kind {
	for kind, nodes := range map[component.Kind]map[string]api.Node{component.KindSpout: spec.Spouts, component.KindBolt: spec.Bolts, component.KindSink: spec.Sinks} {
		if _, ok := nodes[name]; ok {
			return kind
		}
	}
	return ""
}

// spoutOf finds the spout that reads a topic as a table does.
func spoutOf(spec api.TopologySpec, t api.TableTopic) string {
	for _, name := range sortedKeys(spec.Spouts) {
		config, ok := spec.Spouts[name].Config.(*topic.SpoutConfig)
		if ok && config.Name == t.Name && config.Format == t.Format && config.Start == t.Start {
			return name
		}
	}
	return ""
}

// spoutFor reads a table's topic. One that could not be read has been reported.
func spoutFor(t api.TableTopic) api.Node {
	if t.Name == "" {
		return api.Node{Component: "topic"}
	}
	return api.Node{Component: "topic", Config: &topic.SpoutConfig{Name: t.Name, Format: t.Format, Start: t.Start}}
}

func clone(nodes map[string]api.Node) map[string]api.Node {
	if nodes == nil {
		return map[string]api.Node{}
	}
	return maps.Clone(nodes)
}

// ends checks that a topology has a beginning and an end. What keeps something that can be asked for needs no sink, nor
// does a bolt without outputs, as only programs can write it: it is an end itself.
func (c *checker) ends(here at, g *graph) {
	if len(g.spouts) == 0 {
		c.errorf(here, manifest.CodeMissingKey, "name the topics to read under spouts or tables", "read topology %q: nothing comes in, it has neither spouts nor tables", here.name)
	}
	if len(g.sinks) == 0 && !slices.ContainsFunc(g.bolts, func(b *node) bool { return b.asked() >= 0 || b.Config != nil && len(b.ports) == 0 }) {
		c.errorf(here, manifest.CodeMissingKey, "name where results go under sinks", "read topology %q: nothing comes out, it has no sinks and keeps nothing that can be asked for", here.name)
	}
}
