//go:build unix

package apache

import (
	"syscall"
	"time"
)

func (s *server) signal(sig syscall.Signal) error {
	if !s.running() {
		return nil
	}
	return syscall.Kill(s.PID, sig)
}

func (s *server) pause() error  { return s.signal(syscall.SIGSTOP) }
func (s *server) resume() error { return s.signal(syscall.SIGCONT) }

func (s *server) kill() error {
	if err := s.signal(syscall.SIGKILL); err != nil || s.ended == nil {
		return err
	}
	<-s.ended
	return nil
}

// stop asks the broker to end, and ends it if it does not.
func (s *server) stop() error {
	if err := s.signal(syscall.SIGTERM); err != nil || s.ended == nil {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(10 * time.Second):
		return s.kill()
	}
}
