package kafkatest

import (
	"maps"
	"testing"
)

func TestDifferencesAreReadByTarget(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string]string
		bad        bool
	}{
		{"none", "# nothing\n\n", map[string]string{}, false},
		{"of this target only", "a | one | why\nb | two | because\n", map[string]string{"one": "why"}, false},
		{"without a reason", "a | one\n", nil, true},
		{"with an empty reason", "a | one | \n", nil, true},
		{"twice", "a | one | why\na | one | because\n", nil, true},
		{"of two targets", "a | one | why\nb | one | because\n", map[string]string{"one": "why"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseDifferences(c.text, "a")
			if (err != nil) != c.bad || !c.bad && !maps.Equal(got, c.want) {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
}
