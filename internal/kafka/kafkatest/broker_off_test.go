//go:build !ownbroker

package kafkatest_test

import "errors"

func beginBroker(*process) error { return errors.New("built without our own broker (-tags ownbroker)") }
