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
)

// TransactorConfig says what a Transactor reads and as whom.
type TransactorConfig struct {
	Config
	Group         string
	ID            string // transactional id and group instance id: the same after a restart, unique in the cluster
	Topics        []string
	Latest        map[string]bool          // topics that begin at their end when the group has no offset
	Manual        map[string]bool          // topics whose records name their partition; elsewhere the key picks it
	MaxRecord     func(topic string) int32 // largest record batch the topic takes, in bytes; nil means Kafka's default
	Transactional bool                     // else offsets are committed after the flush, without a transaction

	// The rebalance callbacks. The group waits for them; partitions given up are still owned while Revoked runs.
	// Assigned runs before offsets are read, after the id's last transaction has ended.
	Assigned func(ctx context.Context, partitions map[string][]int32) error
	// Begin overrides where a partition begins, for members whose offsets are kept elsewhere; nil, or false, takes
	// what the group has committed.
	Begin   func(ctx context.Context, topic string, partition int32) (offset int64, ok bool, err error)
	Revoked func(partitions map[string][]int32)
	Lost    func(partitions map[string][]int32)
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

	mu        sync.Mutex
	committed map[string]map[int32]int64 // offsets the group had when partitions were assigned; GUARDED_BY(mu)
}

// NewTransactor joins the group. With Transactional set it also takes the id over from any predecessor before it reads
// an offset.
func NewTransactor(cfg TransactorConfig) (*Transactor, error) {
	t := &Transactor{cfg: cfg, committed: make(map[string]map[int32]int64)}
	versions := kversion.Stable()
	// From version 6 on TxnOffsetCommit names topics by id only; we name them by name.
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	opts := append(cfg.Options(),
		kgo.MaxVersions(versions),
		kgo.ConsumerGroup(cfg.Group),
		kgo.InstanceID(cfg.ID),
		kgo.ConsumeTopics(cfg.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MaxBufferedRecords(50_000),
		kgo.RecordPartitioner(partitioner{manual: cfg.Manual, keyed: kgo.StickyKeyPartitioner(nil)}),
		kgo.KeepControlRecords(), // so that the offsets of commit markers can be committed, too, and lag can reach zero
		kgo.OnPartitionsAssigned(t.onAssigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { cfg.Revoked(p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { cfg.Lost(p) }),
		kgo.AdjustFetchOffsetsFn(t.noteOffsets),
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
	return t, nil
}

// onAssigned fences the predecessor, then tells the owner. The client reads offsets only after it returns, so whatever
// the predecessor had committed is seen and whatever it had open is gone.
func (t *Transactor) onAssigned(ctx context.Context, cl *kgo.Client, partitions map[string][]int32) {
	if len(partitions) == 0 {
		return
	}
	if t.cfg.Transactional {
		if _, _, err := cl.ProducerID(ctx); err != nil {
			t.fail(&t.assigned, fmt.Errorf("take over transactional id %q: %w", t.cfg.ID, err))
			return
		}
	}
	if err := t.cfg.Assigned(ctx, partitions); err != nil {
		t.fail(&t.assigned, err)
	}
}

// noteOffsets remembers what the group had committed and applies Latest. It refuses to let reading begin after a failed
// assignment.
func (t *Transactor) noteOffsets(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if err := t.assigned.Load(); err != nil {
		return nil, *err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, partitions := range offsets {
		for p, o := range partitions {
			at := o.EpochOffset().Offset
			if t.cfg.Begin != nil {
				offset, ok, err := t.cfg.Begin(ctx, topic, p)
				if err != nil {
					t.fail(&t.assigned, err)
					return nil, err
				}
				if ok {
					at = offset
					partitions[p] = kgo.NewOffset().At(offset)
				}
			}
			if at < 0 && t.cfg.Latest[topic] {
				partitions[p] = kgo.NewOffset().AtEnd()
			}
			if t.committed[topic] == nil {
				t.committed[topic] = make(map[int32]int64)
			}
			t.committed[topic][p] = max(at, -1)
		}
	}
	return offsets, nil
}

// Committed returns the offset the group had committed for a partition when it was assigned, -1 for none.
func (t *Transactor) Committed(topic string, partition int32) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.committed[topic][partition]; ok {
		return at
	}
	return -1
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

// Pause stops reading partitions; nothing of them is lost.
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
	if err != nil && t.failed.Load() == nil {
		t.fail(&t.failed, fmt.Errorf("write topic %q: %w", r.Topic, err))
	}
}

// Failed returns the first failed produce since the last commit, so that its owner need not wait for the commit.
func (t *Transactor) Failed() error {
	if err := t.failed.Load(); err != nil {
		return classify(*err)
	}
	return nil
}

// Offsets are next offsets to read, by topic and partition.
type Offsets map[string]map[int32]int64

// Commit makes everything produced since the last commit visible together with the offsets, or nothing of it. Step is
// called with the name of each step that was reached. ctx ends the wait for a broker that does not answer; what became
// of the transaction is then unknown and ErrAborted is returned, as for every failure.
func (t *Transactor) Commit(ctx context.Context, offsets Offsets, step func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	step("before-flush")
	if err := t.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w: %w", err, ErrAborted)
	}
	if err := t.Failed(); err != nil {
		return err
	}
	step("after-flush")
	if !t.cfg.Transactional || !t.inTxn {
		// Nothing was produced, so nothing has to be atomic with the offsets. (An empty transaction is no option:
		// the client would end it without telling the broker and leave the offsets pending.)
		err := t.commitPlain(ctx, offsets)
		t.inTxn = false
		step("after-end")
		return err
	}
	if err := t.commitOffsets(ctx, offsets); err != nil {
		return err
	}
	step("after-offsets")
	if err := t.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("end transaction: %w: %w", err, classify(err))
	}
	t.inTxn = false
	step("after-end")
	return nil
}

// commitOffsets adds the offsets to the open transaction. The group's generation goes with them, so a member that lost
// its partitions is refused (KIP-447).
func (t *Transactor) commitOffsets(ctx context.Context, offsets Offsets) error {
	id, epoch, err := t.cl.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
	}
	member, generation := t.cl.GroupMetadata()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group = t.cfg.ID, t.cfg.Group
	req.ProducerID, req.ProducerEpoch = id, epoch
	req.MemberID, req.Generation, req.InstanceID = member, generation, &t.cfg.ID
	for topic, partitions := range offsets {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = topic
		for p, at := range partitions {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset = p, at
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, t.cl)
	if err != nil {
		return fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return fmt.Errorf("commit offset of topic %q partition %d: %w: %w", rt.Topic, rp.Partition, err, classify(err))
			}
		}
	}
	return nil
}

func (t *Transactor) commitPlain(ctx context.Context, offsets Offsets) error {
	commit := make(map[string]map[int32]kgo.EpochOffset, len(offsets))
	for topic, partitions := range offsets {
		commit[topic] = make(map[int32]kgo.EpochOffset, len(partitions))
		for p, at := range partitions {
			commit[topic][p] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	if len(commit) == 0 {
		return nil
	}
	var failed error
	t.cl.CommitOffsetsSync(ctx, commit, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
			return
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil && failed == nil {
					failed = fmt.Errorf("commit offset of topic %q partition %d: %w: %w", rt.Topic, rp.Partition, err, classify(err))
				}
			}
		}
	})
	return failed
}

// Abort ends the open transaction without effect, as far as the broker can be reached.
func (t *Transactor) Abort(ctx context.Context) {
	if t.cfg.Transactional && t.inTxn {
		_ = t.cl.AbortBufferedRecords(ctx)
		_ = t.cl.EndTransaction(ctx, kgo.TryAbort) // unanswered: the successor's takeover or the timeout ends it
		t.inTxn = false
	}
}

// Replaced says whether another process has joined the group under our id. A member that was fenced asks before it
// comes back: it must not take the id from its successor.
func (t *Transactor) Replaced(ctx context.Context) bool {
	member, _ := t.cl.GroupMetadata()
	groups, err := kadm.NewClient(t.cl).DescribeGroups(ctx, t.cfg.Group)
	if err != nil {
		return false
	}
	for _, m := range groups[t.cfg.Group].Members {
		if m.InstanceID != nil && *m.InstanceID == t.cfg.ID && m.MemberID != member && member != "" {
			return true
		}
	}
	return false
}

// Close ends the member without leaving the group: the same id may come back within the session timeout and finds its
// partitions as they were. The client waits for a join that is under way, which may take the group a while; what is
// left of it then ends by itself, because the successor's join or Leave answers it.
func (t *Transactor) Close() {
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
