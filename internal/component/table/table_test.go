package table

import (
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
)

// configOf reads settings as the tables section writes them.
func configOf(t *testing.T, settings map[string]string) (*Config, []component.Problem) {
	t.Helper()
	c, problems := manifest.Settings(Definition(), settings)
	if problems != nil {
		return nil, problems
	}
	return c.(*Config), Definition().Check(c)
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings map[string]string
		want     store.Spec
		global   bool
	}{
		{"as it is", nil, store.Spec{}, false},
		{"in memory", map[string]string{"store": "memory"}, store.Spec{Memory: true}, false},
		{"for some time", map[string]string{"retention": "720h"}, store.Spec{Retention: 720 * time.Hour}, false},
		{"with a history", map[string]string{"history": "7d"}, store.Spec{Kind: store.KindVersioned, Retention: 7 * 24 * time.Hour}, false},
		{"global", map[string]string{"global": "true", "store": "memory"}, store.Spec{Memory: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, problems := configOf(t, c.settings)
			if problems != nil {
				t.Fatal(problems)
			}
			s := Definition().Shape(config)
			if !s.Table || s.Global != c.global || s.Keyed == c.global || len(s.Stores) != 1 || s.Stores[0] != c.want {
				t.Errorf("%+v", s)
			}
			if p, err := Definition().NewProcessor(config, component.Env{}); p == nil || err != nil {
				t.Errorf("%v %v", p, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		want     string
	}{
		{map[string]string{"global": "true", "history": "1h"}, "history setting-conflict"},
		{map[string]string{"retention": "1h", "history": "1h"}, "retention setting-conflict"},
		{map[string]string{"store": "tape"}, "store value-invalid"},
	} {
		_, problems := configOf(t, c.settings)
		if len(problems) != 1 || problems[0].Path+" "+problems[0].Code != c.want {
			t.Errorf("%v: %+v", c.settings, problems)
		}
	}
}
