package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as people write it: 250ms, 2s, 5m, 12h, 7d.
type Duration time.Duration

// UnmarshalText reads a duration. Days ("7d") are allowed; a bare number other than 0 is not, because its unit is
// anyone's guess.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > 36500 {
			return fmt.Errorf("read duration %q: want a number and a unit, such as 250ms, 2s, 5m, 12h or 7d", s)
		}
		*d = Duration(n * 24 * float64(time.Hour))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("read duration %q: want a number and a unit, such as 250ms, 2s, 5m, 12h or 7d", s)
	}
	if v < 0 {
		return fmt.Errorf("read duration %q: must not be negative", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as Go prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d Duration) String() string { return time.Duration(d).String() }

// Size is a number of bytes as people write it: 512, 64KB, 1MB, 2GB (powers of 1024; KiB, MiB and GiB mean the same).
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	number, unit := in, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(in, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*float64(unit) > math.MaxInt64/2 {
		return fmt.Errorf("read size %q: want a number of bytes, such as 512, 64KB, 1MB or 2GB", in)
	}
	*s = Size(n * float64(unit))
	return nil
}

// MarshalText writes the size in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, u := range []struct {
		suffix string
		bytes  Size
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Percent is a share in hundredths of a percent: 12.5% is 1250. One unit is one of the ten thousand places that keys
// are hashed to.
type Percent int

// UnmarshalText reads a percentage, with or without the sign: 10, 12.5%, 0.01%.
func (p *Percent) UnmarshalText(text []byte) error {
	in := string(text)
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(in, "%")), 64)
	if err != nil || n < 0 || n > 100 {
		return fmt.Errorf("read percentage %q: want a number from 0 to 100, such as 10%% or 12.5%%", in)
	}
	*p = Percent(math.Round(n * 100))
	return nil
}

// MarshalText writes the percentage with its sign.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Percent) String() string { return strconv.FormatFloat(float64(p)/100, 'f', -1, 64) + "%" }
