package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A check says whether a value may be; its error is the end of a sentence about the value.
type check func(value string) error

func text(string) error { return nil }

func boolean(value string) error {
	if v := strings.ToLower(strings.TrimSpace(value)); v != "true" && v != "false" {
		return errors.New("want true or false")
	}
	return nil
}

// between takes whole numbers of a range.
func between(least, most int64) check {
	return func(value string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err == nil && n >= least && n <= most {
			return nil
		}
		if most == math.MaxInt64 {
			return fmt.Errorf("want a whole number of at least %d", least)
		}
		return fmt.Errorf("want a whole number from %d to %d", least, most)
	}
}

func ratio(value string) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1 {
		return errors.New("want a number from 0 to 1")
	}
	return nil
}

func atLeastZero(value string) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(f) || f < 0 {
		return errors.New("want a number of at least 0")
	}
	return nil
}

func oneOf(allowed ...string) check {
	return func(value string) error {
		if slices.Contains(allowed, strings.TrimSpace(value)) {
			return nil
		}
		return fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
	}
}

// only takes the one value that is possible here, and says why.
func only(allowed, reason string) check {
	return func(value string) error {
		if strings.EqualFold(strings.TrimSpace(value), allowed) {
			return nil
		}
		return fmt.Errorf("only %s is possible: %s", allowed, reason)
	}
}

// someOf takes a list of allowed words, at least one, none twice.
func someOf(allowed ...string) check {
	return func(value string) error {
		words := list(value)
		if len(words) == 0 {
			return fmt.Errorf("want a list of %s", strings.Join(allowed, ", "))
		}
		for i, w := range words {
			if !slices.Contains(allowed, w) {
				return fmt.Errorf("want a list of %s", strings.Join(allowed, ", "))
			}
			if slices.Contains(words[:i], w) {
				return fmt.Errorf("has %s twice", w)
			}
		}
		return nil
	}
}

// list splits a value of the type LIST.
func list(value string) []string {
	var words []string
	for w := range strings.SplitSeq(value, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// number reads a value that was checked; what was not is 0.
func number(value string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return n
}

func decimal(value string) float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return f
}

func truth(value string) bool { return strings.EqualFold(strings.TrimSpace(value), "true") }

// millis is a number of milliseconds as a duration, the longest that there is where it is longer.
func millis(value string) time.Duration {
	n := number(value)
	if n > int64(math.MaxInt64/time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(max(n, -1)) * time.Millisecond
}

// scaled converts a checked value of a synonym into the unit of its setting. Negative numbers mean "no limit" in every unit.
func scaled(value string, scale int64) string {
	n := number(value)
	if scale <= 1 || n < 0 {
		return strings.TrimSpace(value)
	}
	if n > math.MaxInt64/scale {
		return strconv.FormatInt(math.MaxInt64, 10)
	}
	return strconv.FormatInt(n*scale, 10)
}
