package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	autoCreateMax     = 100 // topics one request may make
	autoCreateTimeout = 5 * time.Second
)

// autoCreator makes the topics that foreign clients expect to appear when they ask for them, as Kafka does by default.
//
// The cluster could do that by itself, but a topic made that way is not on disk before a clean close: a kill loses it
// with everything that was acknowledged in it. So the topics are made by a proper request, before the client's
// request reaches the cluster. Clients that do not allow it in their request, as ours, make no topics by a typo.
//
// It is used by all connections at once.
type autoCreator struct {
	log *slog.Logger

	mu    sync.Mutex
	admin *kadm.Client // GUARDED_BY(mu); nil until the cluster serves
}

// serve makes it work from now on, through the broker's own address.
func (a *autoCreator) serve(admin *kadm.Client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.admin = admin
}

// before looks at a metadata request, without its length, before the cluster does.
func (a *autoCreator) before(frame []byte) {
	names := wantedTopics(frame)
	if len(names) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.admin == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), autoCreateTimeout)
	defer cancel()
	if err := create(ctx, a.admin, names); err != nil {
		a.log.Warn("a topic could not be made on first use", "topics", names, "err", err)
	}
}

func create(ctx context.Context, admin *kadm.Client, names []string) error {
	have, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range names {
		if !have.Has(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = admin.CreateTopics(ctx, -1, -1, nil, missing...) // one that is refused stays unknown to its client
	return err
}

// wantedTopics returns the topics that a metadata request may make.
func wantedTopics(frame []byte) []string {
	req, ok := parseMetadata(frame)
	if !ok || !req.AllowAutoTopicCreation {
		return nil
	}
	var names []string
	for _, t := range req.Topics {
		if t.Topic != nil && legalName(*t.Topic) && len(names) < autoCreateMax {
			names = append(names, *t.Topic)
		}
	}
	return names
}

func parseMetadata(frame []byte) (*kmsg.MetadataRequest, bool) {
	r := kbin.Reader{Src: frame}
	_, version := r.Int16(), r.Int16()
	r.Int32()          // correlation id
	r.NullableString() // client id
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() || version < 0 || version > req.MaxVersion() {
		return nil, false
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return nil, false
	}
	if version < 4 { // before it could be asked for, it was always done
		req.AllowAutoTopicCreation = true
	}
	return req, true
}

func legalName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
