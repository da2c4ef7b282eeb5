package main

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// echo is a broker that sends every frame back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					frame, err := readFrame(c)
					if err != nil || writeFrame(c, frame[4:]) != nil { // an answer begins with the correlation id
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a frame and says what came back within some time.
func ask(c net.Conn, within time.Duration) ([]byte, error) {
	if err := writeFrame(c, request); err != nil {
		return nil, err
	}
	_ = c.SetReadDeadline(time.Now().Add(within))
	return readFrame(c)
}

var request = []byte{0, 18, 0, 0, 0, 0, 0, 9, 'x'}

func TestProxyIsANetworkThatCanBeCut(t *testing.T) {
	p, err := startProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c := dial(t, p)
	if got, err := ask(c, 5*time.Second); err != nil || !bytes.Equal(got, request[4:]) {
		t.Fatalf("through the whole network came %x, %v", got, err)
	}

	p.cut(silent)
	if got, err := ask(c, 50*time.Millisecond); err == nil {
		t.Fatalf("through a silent network came %x", got)
	}
	p.heal()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if got, err := readFrame(c); err != nil || !bytes.Equal(got, request[4:]) {
		t.Fatalf("what was under way arrives as %x, %v", got, err)
	}

	p.cut(broken)
	if got, err := ask(c, 5*time.Second); err == nil {
		t.Fatalf("through a broken connection came %x", got)
	}
	if got, err := ask(dial(t, p), 5*time.Second); err == nil {
		t.Fatalf("through a new connection came %x", got)
	}
	p.heal()
	if got, err := ask(dial(t, p), 5*time.Second); err != nil || !bytes.Equal(got, request[4:]) {
		t.Fatalf("after healing came %x, %v", got, err)
	}
}

func TestProxyPutsItselfInTheBrokersPlace(t *testing.T) {
	p := &proxy{broker: "127.0.0.1:9092", addr: "127.0.0.1:19092"}
	for _, version := range []int16{5, 12} {
		resp := kmsg.NewPtrMetadataResponse()
		resp.SetVersion(version)
		for _, port := range []int32{9092, 7} {
			b := kmsg.NewMetadataResponseBroker()
			b.Host, b.Port = "127.0.0.1", port
			resp.Brokers = append(resp.Brokers, b)
		}
		header := []byte{0, 0, 0, 9}
		if resp.IsFlexible() {
			header = append(header, 0)
		}
		got := kmsg.NewPtrMetadataResponse()
		got.SetVersion(version)
		frame := p.rewrite(head{kmsg.Metadata, version, 9}, resp.AppendTo(header))
		if err := got.ReadFrom(frame[len(header):]); err != nil {
			t.Fatal(err)
		}
		if len(got.Brokers) != 2 || got.Brokers[0].Port != 19092 || got.Brokers[1].Port != 7 {
			t.Errorf("version %d: brokers %+v", version, got.Brokers)
		}
	}
}
