package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Errors of a Transactor that callers branch on.
var (
	// ErrReplaced says that another process has taken this member's id. The caller must stop for good: going on
	// would take the id back and the two would fight for ever.
	ErrReplaced = errors.New("another process has taken this worker's id")
	// ErrAborted says that the open transaction did not commit, or that nobody knows. Everything since the last
	// commit must be thrown away; the caller closes the Transactor and makes a new one, which ends the old
	// transaction and reads the committed offsets.
	ErrAborted = errors.New("transaction aborted")
)

// The times of a group member. A worker that is killed for good is replaced after sessionTimeout; one that comes back
// sooner with the same id goes on where it was without a rebalance.
const (
	sessionTimeout     = 12 * time.Second
	heartbeatInterval  = time.Second
	rebalanceTimeout   = 30 * time.Second
	transactionTimeout = 25 * time.Second
	commitTimeout      = 60 * time.Second
	// fetchMaxWait is how long a broker holds a fetch that has nothing to answer with. What is resumed meanwhile waits for as
	// long: the client asks a broker one thing at a time, and cannot add to a question.
	fetchMaxWait = 100 * time.Millisecond
	// What waits to be sent. The bytes are above the largest request that brokers take (socket.request.max.bytes, 100 MB): the
	// client refuses a record that is larger.
	maxUnsentRecords = 50_000
	maxUnsentBytes   = 128 << 20
)

// TransactorConfig says what a Transactor reads and as whom.
type TransactorConfig struct {
	Config
	Group         string
	ID            string // transactional id and group instance id: the same after a restart, unique in the cluster; see MemberID
	Topics        []string
	Latest        map[string]bool          // topics that begin at their end when the group has no offset
	Manual        map[string]bool          // topics whose records name their partition; elsewhere the key picks it
	MaxRecord     func(topic string) int32 // largest record batch the topic takes, in bytes; nil means Kafka's default
	Transactional bool                     // else offsets are committed after the flush, without a transaction
	Tracked       map[string]bool          // topics whose written offsets Written reports
	Unfenced      bool                     // for proof only: offsets are committed whatever the group has decided meanwhile

	// The rebalance callbacks. The group waits for them; partitions given up are still owned while Revoked runs.
	// Assigned runs after the id's last transaction has ended, with what the group has committed for the partitions
	// already known (Committed, CommittedMeta), and before anything of them is fetched: what it pauses stays unread. It
	// may be called before NewTransactor has returned.
	Assigned func(ctx context.Context, partitions map[string][]int32) error
	// Begin overrides where a partition begins, for members whose offsets are kept elsewhere; nil, or false, takes
	// what the group has committed.
	Begin   func(ctx context.Context, topic string, partition int32) (offset int64, ok bool, err error)
	Revoked func(partitions map[string][]int32)
	Lost    func(partitions map[string][]int32)

	// Tasks has the group share tasks instead of single partitions; nil leaves it to the cooperative-sticky balancer.
	Tasks *Tasks
}

// Transactor is one member of a consumer group that produces and commits a chosen prefix of what it has read, in one
// transaction.
//
// It differs from kgo.GroupTransactSession in exactly that: the session commits everything polled, so every record must
// be finished first; the Transactor is told which offsets to commit, so slow records stay in hand over any number of
// commits. In return every failure ends the Transactor: the owner closes it and makes another.
//
// Poll may run concurrently with everything else. Produce and Commit must not run concurrently with each other.
type Transactor struct {
	cl    *kgo.Client
	cfg   TransactorConfig
	inTxn bool // a transaction is open: something was produced since the last commit

	failed   atomic.Pointer[error] // first failed produce since the last commit
	assigned atomic.Pointer[error] // failed assignment

	writes     writes
	positions  positions
	membership membership

	made    chan struct{}   // closed when cl is set: the client's callbacks may come before that
	life    context.Context // ends when Close begins
	end     context.CancelFunc
	watcher sync.WaitGroup
}

// NewTransactor joins the group. With Transactional set it also takes the id over from any predecessor before it reads
// an offset.
func NewTransactor(cfg TransactorConfig) (*Transactor, error) {
	t := &Transactor{cfg: cfg, made: make(chan struct{})}
	t.life, t.end = context.WithCancel(context.Background())
	t.writes.tracked = cfg.Tracked
	t.membership.cfg = cfg
	versions := kversion.Stable()
	// From these versions on the requests name topics by id only; we name them by name.
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	versions.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	opts := append(cfg.Options(),
		kgo.MaxVersions(versions),
		kgo.ConsumerGroup(cfg.Group),
		kgo.InstanceID(cfg.ID),
		kgo.ConsumeTopics(cfg.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(t.membership.balancers()...),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.FetchMaxWait(fetchMaxWait),
		kgo.MaxBufferedRecords(maxUnsentRecords),
		kgo.MaxBufferedBytes(maxUnsentBytes),
		kgo.RecordPartitioner(partitioner{manual: cfg.Manual, keyed: kgo.StickyKeyPartitioner(nil)}),
		kgo.KeepControlRecords(), // so that the offsets of commit markers can be committed, too, and lag can reach zero
		kgo.OnPartitionsAssigned(t.onAssigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { cfg.Revoked(p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { cfg.Lost(p) }),
		kgo.AdjustFetchOffsetsFn(t.beginAt),
	)
	if cfg.MaxRecord != nil {
		opts = append(opts, kgo.ProducerBatchMaxBytesFn(cfg.MaxRecord))
	}
	if cfg.Transactional {
		opts = append(opts, kgo.TransactionalID(cfg.ID), kgo.TransactionTimeout(transactionTimeout))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("join group %q as %q: %w", cfg.Group, cfg.ID, err)
	}
	t.cl = cl
	close(t.made)
	if cfg.Tasks != nil {
		t.watcher.Go(t.watch)
	}
	return t, nil
}

// onAssigned fences predecessors, reads what the group has committed, then tells the owner. The client reads offsets
// only after it returns, so whatever a predecessor had committed is seen and whatever it had open is gone.
func (t *Transactor) onAssigned(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-t.made
	if err := t.assign(ctx, partitions); err != nil {
		t.fail(&t.assigned, err)
		return
	}
	if t.membership.tell() {
		t.Rebalance()
	}
}

func (t *Transactor) assign(ctx context.Context, partitions map[string][]int32) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.life, cancel)()
	if err := t.takeOver(ctx); err != nil || len(partitions) == 0 {
		return err
	}
	t.endPredecessors(ctx)
	if err := t.readPositions(ctx, partitions); err != nil {
		return err
	}
	return t.cfg.Assigned(ctx, partitions)
}

// Poll waits for records, at most max, until ctx is done. Errors of the member as a whole are returned; what a single
// partition suffers is retried by the client.
func (t *Transactor) Poll(ctx context.Context, max int) (kgo.Fetches, error) {
	fetches := t.cl.PollRecords(ctx, max)
	if err := t.assigned.Load(); err != nil {
		return fetches, *err
	}
	for _, e := range fetches.Errors() {
		var session *kgo.ErrGroupSession
		switch {
		case errors.Is(e.Err, kerr.FencedInstanceID):
			return fetches, fmt.Errorf("read as %q: %w", t.cfg.ID, ErrReplaced)
		case errors.Is(e.Err, kgo.ErrClientClosed), errors.As(e.Err, &session):
			return fetches, fmt.Errorf("read as %q in group %q: %w", t.cfg.ID, t.cfg.Group, e.Err)
		case errors.Is(e.Err, context.Canceled), errors.Is(e.Err, context.DeadlineExceeded):
		case kerr.IsRetriable(e.Err):
		default:
			if e.Partition >= 0 && e.Topic != "" {
				return fetches, fmt.Errorf("read topic %q partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
	}
	return fetches, nil
}

// Pause stops reading partitions; nothing of them is lost. It also holds for partitions that are being assigned, and
// lasts over rebalances until Resume.
func (t *Transactor) Pause(partitions map[string][]int32) { t.cl.PauseFetchPartitions(partitions) }

// Resume undoes Pause.
func (t *Transactor) Resume(partitions map[string][]int32) { t.cl.ResumeFetchPartitions(partitions) }

// Produce hands a record to the open transaction, opening one if need be. It blocks while the client's buffer is full.
// Failures show at Commit.
func (t *Transactor) Produce(ctx context.Context, r *kgo.Record) {
	if t.cfg.Transactional && !t.inTxn {
		if err := t.cl.BeginTransaction(); err != nil {
			t.fail(&t.failed, fmt.Errorf("begin transaction: %w", err))
			return
		}
	}
	t.inTxn = true
	t.cl.Produce(ctx, r, t.promise)
}

// promise is the one latch for all produces: kgo commits what succeeded if it is asked to, so we must not ask.
func (t *Transactor) promise(r *kgo.Record, err error) {
	if err != nil {
		t.fail(&t.failed, fmt.Errorf("write topic %q: %w", r.Topic, err))
		return
	}
	t.writes.acknowledged(r)
}

// Failed returns the first failed produce since the last commit, so that its owner need not wait for the commit.
func (t *Transactor) Failed() error {
	if err := t.failed.Load(); err != nil {
		return classify(*err)
	}
	return nil
}

// Replaced says whether another process has joined the group under our id. A member that was fenced asks before it
// comes back: it must not take the id from its successor.
func (t *Transactor) Replaced(ctx context.Context) bool {
	member := func() string { id, _ := t.cl.GroupMetadata(); return id }
	return replaced(t.cfg.ID, member, func() []kadm.DescribedGroupMember {
		groups, err := kadm.NewClient(t.cl).DescribeGroups(ctx, t.cfg.Group)
		if err != nil {
			return nil
		}
		return groups[t.cfg.Group].Members
	})
}

// replaced says whether the group has the id with another member than the one that is ours before it is asked and still after. The
// client joins anew by itself when the group has forgotten it, and an answer may take as long as an outage: then the other is
// who we were, or will be.
func replaced(id string, ours func() string, members func() []kadm.DescribedGroupMember) bool {
	before := ours()
	for _, m := range members() {
		if m.InstanceID != nil && *m.InstanceID == id {
			return before != "" && m.MemberID != before && ours() == before
		}
	}
	return false
}

// Close ends the member without leaving the group: the same id may come back within the session timeout and finds its
// partitions as they were. The client waits for a join that is under way, which may take the group a while; what is
// left of it then ends by itself, because the successor's join or Leave answers it.
func (t *Transactor) Close() {
	t.end()
	t.watcher.Wait()
	closed := make(chan struct{})
	go func() { defer close(closed); t.cl.CloseAllowingRebalance() }()
	select {
	case <-closed:
	case <-time.After(closePatience):
	}
}

const closePatience = 500 * time.Millisecond

// CloseAndLeave ends the member and gives its partitions up at once instead of keeping them for a restart. The order
// matters: a client that is still at work would join again.
func (t *Transactor) CloseAndLeave(ctx context.Context) error {
	t.Close()
	cl, err := t.cfg.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).LeaveGroup(ctx, kadm.LeaveGroup(t.cfg.Group).InstanceIDs(t.cfg.ID))
	if err != nil {
		return fmt.Errorf("leave group %q as %q: %w", t.cfg.Group, t.cfg.ID, err)
	}
	return nil
}

func (t *Transactor) fail(slot *atomic.Pointer[error], err error) { slot.CompareAndSwap(nil, &err) }

// classify decides what a failure means for the member. Everything ends it; being replaced ends it for good.
func classify(err error) error {
	if errors.Is(err, kerr.FencedInstanceID) {
		return ErrReplaced
	}
	if errors.Is(err, ErrAborted) || errors.Is(err, ErrReplaced) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ErrAborted)
}

// partitioner lets records of some topics name their partition and goes by the key elsewhere, as all Kafka clients do.
type partitioner struct {
	manual map[string]bool
	keyed  kgo.Partitioner
}

// ForTopic is part of kgo.Partitioner.
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if p.manual[topic] {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return p.keyed.ForTopic(topic)
}
