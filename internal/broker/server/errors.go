package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// detailed is a refusal with a sentence for the client.
type detailed struct {
	code *kerr.Error
	text string
}

func (d *detailed) Error() string { return d.text }
func (d *detailed) Unwrap() error { return d.code }

// code is the number that an answer carries for an error; 0 for none. What is not one of Kafka's errors is our mistake.
func code(err error) int16 {
	if err == nil {
		return 0
	}
	if k, ok := errors.AsType[*kerr.Error](err); ok {
		return k.Code
	}
	return kerr.UnknownServerError.Code
}

// message is the sentence that an answer carries for an error, nil for none.
func message(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	if k, ok := errors.AsType[*kerr.Error](err); ok && errors.Is(err, k) && text == k.Error() {
		text = k.Description
	}
	return &text
}
