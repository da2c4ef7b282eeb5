package config

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// A RefusalError is why a request about settings is not carried out, with Kafka's error.
type RefusalError struct {
	Code *kerr.Error
	Text string
}

func (e *RefusalError) Error() string { return e.Text }

// Unwrap gives Kafka's error.
func (e *RefusalError) Unwrap() error { return e.Code }

func refuse(code *kerr.Error, format string, args ...any) error {
	return &RefusalError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Code gives the error code and the message that an answer carries for an error of this package; 0 and nil for none.
func Code(err error) (code int16, message *string) {
	if err == nil {
		return 0, nil
	}
	said := err.Error()
	if r, ok := errors.AsType[*RefusalError](err); ok {
		return r.Code.Code, &said
	}
	return kerr.InvalidConfig.Code, &said
}
