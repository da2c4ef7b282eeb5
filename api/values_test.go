package api_test

import (
	"encoding"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/api"
)

func TestValuesAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		name string
		into interface {
			encoding.TextUnmarshaler
			String() string
		}
		in, want string // want begins with "error:" if the value is refused with such a text
	}{
		{"milliseconds", new(api.Duration), "250ms", "250ms"},
		{"days", new(api.Duration), "7d", "168h0m0s"},
		{"half a day", new(api.Duration), "0.5d", "12h0m0s"},
		{"nothing", new(api.Duration), "0", "0s"},
		{"a duration without unit", new(api.Duration), "5", "error:want a number and a unit"},
		{"a negative duration", new(api.Duration), "-1s", "error:must not be negative"},
		{"negative days", new(api.Duration), "-1d", "error:want a number and a unit"},
		{"days beyond reason", new(api.Duration), "99999999d", "error:want a number and a unit"},
		{"bytes", new(api.Size), "512", "512"},
		{"megabytes", new(api.Size), "1MB", "1MB"},
		{"binary megabytes", new(api.Size), "1MiB", "1MB"},
		{"a fraction", new(api.Size), "1.5KB", "1536"},
		{"a size of words", new(api.Size), "big", "error:want a number of bytes"},
		{"a negative size", new(api.Size), "-1MB", "error:want a number of bytes"},
		{"a size beyond reason", new(api.Size), "99999999999GB", "error:want a number of bytes"},
		{"percent", new(api.Percent), "12.5%", "12.5%"},
		{"percent without sign", new(api.Percent), "10", "10%"},
		{"the finest share", new(api.Percent), "0.01%", "0.01%"},
		{"more than all", new(api.Percent), "101%", "error:from 0 to 100"},
		{"less than nothing", new(api.Percent), "-1%", "error:from 0 to 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.into.UnmarshalText([]byte(c.in))
			if want, refused := strings.CutPrefix(c.want, "error:"); refused {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("reading %q gives %v, want an error with %q", c.in, err, want)
				}
				return
			}
			if err != nil || c.into.String() != c.want {
				t.Errorf("reading %q gives %s, %v, want %s", c.in, c.into, err, c.want)
			}
		})
	}
}

func TestADurationIsATime(t *testing.T) {
	var d api.Duration
	if err := d.UnmarshalText([]byte("2s")); err != nil || time.Duration(d) != 2*time.Second {
		t.Errorf("2s is %v, %v", time.Duration(d), err)
	}
}
