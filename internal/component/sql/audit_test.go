package sql

import (
	"errors"
	"slices"
	"testing"

	"ravenswood.dev/internal/component"
)

func audits(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a","amount":1}`, `{"id":"b","amount":2}`)
	var got []string
	err := s.(component.Auditor).Each(t.Context(), "id", func(text string) error {
		got = append(got, text)
		return nil
	})
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.(component.Auditor).Each(t.Context(), "nowhere", nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a field that no column gets: got %v", err)
	}
}
