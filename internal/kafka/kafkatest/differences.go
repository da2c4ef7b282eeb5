package kafkatest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed differences.txt
var differencesText string

// fatal begins the reason of a difference that is not tried, because the target would not survive it.
const fatal = "fatal:"

// differencesOf reads the accepted differences of one target: case to reason.
func differencesOf(target string) (map[string]string, error) {
	return parseDifferences(differencesText, target)
}

// parseDifferences reads lines "target | case | reason"; empty lines and lines that begin with # say nothing.
func parseDifferences(text, target string) (map[string]string, error) {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 3 {
			return nil, fmt.Errorf("read differences: line %q: want target | case | reason", line)
		}
		for i := range fields {
			if fields[i] = strings.TrimSpace(fields[i]); fields[i] == "" {
				return nil, fmt.Errorf("read differences: line %q: something is empty", line)
			}
		}
		if fields[0] != target {
			continue
		}
		if found[fields[1]] != "" {
			return nil, fmt.Errorf("read differences: case %q of %q is there twice", fields[1], target)
		}
		found[fields[1]] = fields[2]
	}
	return found, nil
}
