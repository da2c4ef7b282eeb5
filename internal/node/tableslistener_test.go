package node

import (
	"errors"
	"net"
	"testing"
	"time"
)

func TestServicesDoNotGetTheToken(t *testing.T) {
	t.Setenv(TablesTokenVariable, "")
	if got := withoutToken(nil); got != nil {
		t.Errorf("without a token: got %v", got)
	}
	t.Setenv(TablesTokenVariable, "the-token-of-all-processes")
	own := map[string]string{"A": "b"}
	if got := withoutToken(own); got[TablesTokenVariable] != "" || len(got) != 2 || len(own) != 1 {
		t.Errorf("got %v, and %v was changed", got, own)
	}
	told := map[string]string{TablesTokenVariable: "${RAVEN_TABLES_TOKEN}"}
	if got := withoutToken(told); got[TablesTokenVariable] != told[TablesTokenVariable] {
		t.Errorf("a service whose file says so gets %v", got)
	}
}

// TestAListenerHasSoManyConnectionsAtATime opens one too many, then closes one, and the listener while it waits.
func TestAListenerHasSoManyConnectionsAtATime(t *testing.T) {
	inner, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newBoundedListener(inner, 2)
	defer l.Close()
	accepted, ended := make(chan net.Conn), make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 4 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, second := <-accepted, <-accepted
	defer second.Close()
	select {
	case <-accepted:
		t.Fatal("a third was let in")
	case <-time.After(50 * time.Millisecond): // nothing tells that nothing happens
	}
	_, _ = first.Close(), first.Close() // the second time it has no place to give back
	third := <-accepted
	defer third.Close()
	select {
	case <-accepted:
		t.Fatal("a fourth was let in")
	case <-time.After(50 * time.Millisecond):
	}
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
