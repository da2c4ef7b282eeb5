package acl

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refusalError is an answer with an error code of Kafka and why.
type refusalError struct {
	kind *kerr.Error
	why  string
}

func (e *refusalError) Error() string { return e.why }
func (e *refusalError) Unwrap() error { return e.kind }

func because(kind *kerr.Error, format string, args ...any) error {
	return &refusalError{kind: kind, why: fmt.Sprintf(format, args...)}
}

// refusal is code and message as they stand in answers.
func refusal(kind *kerr.Error, why string) (int16, *string) { return kind.Code, &why }

func refusalOf(err error) (int16, *string) {
	if r, ok := errors.AsType[*refusalError](err); ok {
		return refusal(r.kind, r.why)
	}
	return refusal(kerr.UnknownServerError, "the server made a mistake")
}
