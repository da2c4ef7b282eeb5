package kafka

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestAClusterIsAskedUntilItAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []error // one after the other; the last again and again
		times   int
		want    error
	}{
		{"it answers at once", []error{nil}, 1, nil},
		{"it was out of reach", []error{io.EOF, context.DeadlineExceeded, nil}, 3, nil},
		{"it came up", []error{kerr.LeaderNotAvailable, kerr.CoordinatorNotAvailable, nil}, 3, nil},
		{"its answer will not change", []error{io.EOF, kerr.TopicAuthorizationFailed}, 2, kerr.TopicAuthorizationFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				err := Config{}.Patiently(t.Context(), func(context.Context) error {
					asked++
					return c.answers[min(asked, len(c.answers))-1]
				})
				if !errors.Is(err, c.want) || asked != c.times {
					t.Errorf("after %d questions it said %v; want %v after %d", asked, err, c.want, c.times)
				}
			})
		})
	}
	t.Run("nobody waits any more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := (Config{}).Patiently(ctx, func(context.Context) error { return io.EOF }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it ended with %v", err)
			}
		})
	})
}
