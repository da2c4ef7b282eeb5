package chaos_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// naming are the requests whose answers say where a broker is.
var naming = []kmsg.Key{kmsg.Metadata, kmsg.FindCoordinator, kmsg.DescribeCluster, kmsg.Produce, kmsg.Fetch}

// rewrite puts the proxy in the brokers' place. An answer that names nobody stays as it is, byte for byte.
func (p *proxy) rewrite(h head, frame []byte) []byte {
	if !slices.Contains(naming, h.key) {
		return frame
	}
	resp, err := decodeAnswer(h, frame)
	if err != nil || !p.move(resp) {
		return frame // what cannot be read is for the client to complain about
	}
	start := 4
	if resp.IsFlexible() {
		start++ // no tags, as every broker has it here
	}
	return resp.AppendTo(frame[:start:start])
}

// move changes the ports in an answer and says whether there were any.
func (p *proxy) move(resp kmsg.Response) (moved bool) {
	to := func(port *int32) {
		if here, ok := p.ports[*port]; ok {
			*port, moved = here, true
		}
	}
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			to(&r.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		to(&r.Port)
		for i := range r.Coordinators {
			to(&r.Coordinators[i].Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			to(&r.Brokers[i].Port)
		}
	case *kmsg.ProduceResponse:
		for i := range r.Brokers {
			to(&r.Brokers[i].Port)
		}
	case *kmsg.FetchResponse:
		for i := range r.Brokers {
			to(&r.Brokers[i].Port)
		}
	}
	return moved
}

// decodeAnswer reads an answer to a request that began with a head.
func decodeAnswer(h head, frame []byte) (kmsg.Response, error) {
	resp := kmsg.ResponseForKey(h.key.Int16())
	if resp == nil {
		return nil, errors.New("decode answer: no such request")
	}
	resp.SetVersion(h.version)
	start := 4
	if resp.IsFlexible() {
		if len(frame) < 5 || frame[4] != 0 {
			return nil, errors.New("decode answer: its header has tags")
		}
		start++
	}
	return resp, resp.ReadFrom(frame[start:])
}

func TestTheProxyPutsItselfInTheBrokersPlace(t *testing.T) {
	p := &proxy{ports: map[int32]int32{9092: 19092}}
	for _, c := range []struct {
		name    string
		version int16
	}{{"with a fixed header", 5}, {"with tags", 12}} {
		t.Run(c.name, func(t *testing.T) {
			resp := kmsg.NewPtrMetadataResponse()
			resp.SetVersion(c.version)
			for _, port := range []int32{9092, 7} {
				b := kmsg.NewMetadataResponseBroker()
				b.Host, b.Port = "127.0.0.1", port
				resp.Brokers = append(resp.Brokers, b)
			}
			header := []byte{0, 0, 0, 9}
			if resp.IsFlexible() {
				header = append(header, 0)
			}
			h := head{kmsg.Metadata, c.version, 9}
			got, err := decodeAnswer(h, p.rewrite(h, resp.AppendTo(header)))
			if err != nil {
				t.Fatal(err)
			}
			brokers := got.(*kmsg.MetadataResponse).Brokers
			if len(brokers) != 2 || brokers[0].Port != 19092 || brokers[1].Port != 7 {
				t.Errorf("brokers %+v", brokers)
			}
		})
	}
}
