package txn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/txn"
)

// A world is the least broker around the package: a journal, partitions and groups in memory, and the rules of
// docs/internals/broker-txn.md. It can die before every step that lasts.
type world struct {
	now     time.Time
	options txn.Options
	c       *txn.Coordinator
	journal []journaled
	parts   map[txn.TopicPartition]*part
	groups  map[string]*group
	fuse    int // steps until it dies; 0: it lives
	starts  int32
	said    []string // everything that lasts, in words
}

// journaled is an entry of the journal: exactly one field is set.
type journaled struct {
	reserve int64
	save    []byte
	decide  []byte
	pending *pending
	group   string
}

// pending are offsets that wait for the end of a transaction.
type pending struct {
	p   txn.Producer
	tag string
}

// part is a partition.
type part struct {
	log       []stored
	synced    int // batches of log that outlive a loss of power
	producers *txn.Producers
	sealed    int    // batches that the snapshot covers
	snapshot  []byte // nil: none
}

type stored struct {
	h   batch.Header
	raw []byte // of markers
	tag string // of records
}

// group holds offsets.
type group struct {
	pending   []pending
	committed []string // tags
	dropped   []string
}

// errDied is the end of a world's process.
var errDied = errors.New("died")

// errRefused is a journal that refused an entry.
var errRefused = errors.New("journal refused")

func newWorld() *world {
	w := &world{
		now: time.UnixMilli(1_000_000_000), parts: map[txn.TopicPartition]*part{}, groups: map[string]*group{},
	}
	w.boot()
	return w
}

// boot makes a fresh coordinator.
func (w *world) boot() {
	w.starts++
	w.options.CoordinatorEpoch = w.starts
	w.c = txn.NewCoordinator(w.options)
}

// step is before everything that lasts.
func (w *world) step() {
	if w.fuse > 0 {
		if w.fuse--; w.fuse == 0 {
			panic(errDied)
		}
	}
}

// living runs f and tells whether the world died in it.
func (w *world) living(f func()) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != errDied { //nolint:errorlint // the very value that step panics with
				panic(r)
			}
			died = true
		}
	}()
	f()
	return false
}

func (w *world) write(j journaled) {
	w.step()
	w.say("journal: %v", j)
	w.journal = append(w.journal, j)
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (j journaled) String() string {
	switch {
	case j.save != nil:
		e, err := txn.ParseEntry(j.save)
		return fmt.Sprintf("save %s %s %d/%d last %d parts %v groups %v%s", e.ID, e.State, e.ProducerID, e.Epoch, e.LastEpoch, e.Partitions, e.Groups, problem(err))
	case j.decide != nil:
		d, err := txn.ParseDecide(j.decide)
		return fmt.Sprintf("decide %s %s %d/%d at %v groups %v, then %d/%d%s", d.ID, result(d.Commit), d.ProducerID, d.Epoch, d.Partitions, d.Groups, d.After.ProducerID, d.After.Epoch, problem(err))
	case j.pending != nil:
		return fmt.Sprintf("pending %s of %s for %s", j.pending.tag, producer(j.pending.p), j.group)
	default:
		return fmt.Sprintf("producer ids below %d are taken", j.reserve)
	}
}

func problem(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// carryOut does what an answer waits for.
func (w *world) carryOut(fx txn.Effects) {
	if fx.Reserve > 0 {
		w.write(journaled{reserve: fx.Reserve})
		w.c.Reserved(fx.Reserve)
	}
	for _, e := range fx.Save {
		w.write(journaled{save: encoded(e)})
	}
	if fx.Decide != nil {
		w.decide(*fx.Decide)
	}
}

// decide carries out the steps of txn.Decide.
func (w *world) decide(d txn.Decide) {
	for i, p := range d.Partitions {
		if open, ok := w.part(p.TopicPartition).producers.OpenOf(d.ProducerID); ok {
			d.Partitions[i].First = open.First
		}
	}
	w.write(journaled{decide: encoded(d)})
	w.c.Journaled(d)
	w.finish(d)
	w.c.Decided(d.ID)
}

// finish writes the markers and ends the offsets.
func (w *world) finish(d txn.Decide) {
	for _, p := range d.Partitions {
		w.step()
		if w.part(p.TopicPartition).mark(d.ProducerID, d.Epoch, d.CoordinatorEpoch, d.Commit, p.First) {
			w.say("marker: %s %d/%d in %v", result(d.Commit), d.ProducerID, d.Epoch, p.TopicPartition)
		}
	}
	for _, g := range d.Groups {
		w.step()
		w.group(g).end(d.ProducerID, d.Commit)
		w.say("offsets: %s of %d in %s", result(d.Commit), d.ProducerID, g)
	}
}

func (w *world) part(p txn.TopicPartition) *part {
	if w.parts[p] == nil {
		w.parts[p] = &part{producers: txn.NewProducers()}
	}
	return w.parts[p]
}

func (w *world) group(name string) *group {
	if w.groups[name] == nil {
		w.groups[name] = &group{}
	}
	return w.groups[name]
}

func (g *group) end(producer int64, commit bool) {
	for _, o := range g.pending {
		switch {
		case o.p.ID != producer:
		case commit:
			g.committed = append(g.committed, o.tag)
		default:
			g.dropped = append(g.dropped, o.tag)
		}
	}
	g.pending = slices.DeleteFunc(g.pending, func(o pending) bool { return o.p.ID == producer })
}

// mark writes a marker if the transaction that begins at first is open.
func (p *part) mark(producer int64, epoch int16, coordinator int32, commit bool, first int64) bool {
	if open, ok := p.producers.OpenOf(producer); !ok || open.First != first {
		return false
	}
	raw := batch.EncodeMarker(batch.Marker{ProducerID: producer, ProducerEpoch: epoch, CoordinatorEpoch: coordinator, Commit: commit})
	batch.SetBase(raw, int64(len(p.log)), 0)
	h, err := batch.Parse(raw)
	if err != nil {
		panic(err)
	}
	p.append(stored{h: h, raw: raw})
	return true
}

func (p *part) append(s stored) {
	p.log = append(p.log, s)
	p.producers.Observe(s.h, s.raw)
}

// transactionalBit is that of the attributes of a batch.
const transactionalBit = 0x10

// record is the header of a batch with one record.
func record(p txn.Producer, sequence int32, attributes int16, now time.Time) batch.Header {
	return batch.Header{
		Bytes: 70, ProducerID: p.ID, ProducerEpoch: p.Epoch, BaseSequence: sequence, Records: 1, Attributes: attributes,
		FirstTimestamp: now.UnixMilli(), MaxTimestamp: now.UnixMilli(),
	}
}

// produce writes one record of a transaction.
func (w *world) produce(id string, p txn.Producer, at txn.TopicPartition, sequence int32, bump bool, tag string) error {
	part := w.part(at)
	h := record(p, sequence, transactionalBit, w.now)
	check := part.producers.Check
	if bump {
		check = part.producers.CheckBumped
	}
	verdict, err := check(h, w.now)
	if err != nil || verdict.Duplicate {
		return err
	}
	if _, open := part.producers.OpenOf(p.ID); !open {
		if err := w.c.Join(w.now, id, p, at, bump); err != nil {
			return err
		}
	}
	w.step()
	h.BaseOffset = int64(len(part.log))
	part.append(stored{h: h, tag: tag})
	w.step()
	part.synced = len(part.log)
	return nil
}

// commitOffsets puts offsets into a transaction.
func (w *world) commitOffsets(id string, p txn.Producer, name string, bump bool, tag string) error {
	if err := w.c.JoinGroup(w.now, id, p, name, bump); err != nil {
		return err
	}
	o := pending{p: p, tag: tag}
	w.write(journaled{pending: &o, group: name})
	g := w.group(name)
	g.pending = append(g.pending, o)
	return nil
}

func (w *world) init(id string, timeout time.Duration, p txn.Producer) (txn.Producer, error) {
	got, fx, err := w.c.InitProducerID(w.now, txn.InitRequest{ID: id, Timeout: timeout, Producer: p})
	w.carryOut(fx)
	return got, err
}

func (w *world) end(id string, p txn.Producer, commit, bump bool) (txn.Producer, error) {
	got, fx, err := w.c.EndTxn(w.now, txn.EndRequest{ID: id, Producer: p, Commit: commit, Bump: bump})
	w.carryOut(fx)
	return got, err
}

// endRefused is end with a journal that takes nothing.
func (w *world) endRefused(id string, p txn.Producer, commit, bump bool) error {
	_, fx, err := w.c.EndTxn(w.now, txn.EndRequest{ID: id, Producer: p, Commit: commit, Bump: bump})
	if fx.Decide != nil {
		w.c.Undecided(id)
		return errRefused
	}
	return err
}

func (w *world) tick() {
	decided, dead := w.c.Tick(w.now)
	for _, e := range dead {
		w.write(journaled{save: encoded(e)})
	}
	for _, d := range decided {
		w.decide(*d)
	}
}

// checkpoint syncs all partitions, saves their snapshots and writes the journal anew.
func (w *world) checkpoint() {
	for _, p := range w.parts {
		p.synced, p.sealed, p.snapshot = len(p.log), len(p.log), p.producers.Snapshot()
	}
	reserved, entries, decisions := w.c.Checkpoint()
	fresh := []journaled{{reserve: reserved}}
	for _, d := range decisions {
		fresh = append(fresh, journaled{decide: encoded(d)})
	}
	for _, e := range entries {
		fresh = append(fresh, journaled{save: encoded(e)})
	}
	for _, name := range slices.Sorted(maps.Keys(w.groups)) {
		for _, o := range w.groups[name].pending {
			fresh = append(fresh, journaled{pending: &o, group: name})
		}
	}
	w.step()
	w.journal = fresh
}

// restart is a death and the start after it. With power lost, what was not synced is gone.
func (w *world) restart(power bool) ([]txn.Missing, error) {
	w.fuse = 0
	for _, p := range w.parts {
		if err := p.reopen(power); err != nil {
			return nil, err
		}
	}
	w.boot()
	if err := w.replay(); err != nil {
		return nil, err
	}
	w.restoreOpen()
	missing := w.c.Recover(w.now)
	for _, m := range missing {
		p := w.part(m.TopicPartition)
		p.mark(m.ProducerID, m.Epoch, m.CoordinatorEpoch, m.Commit, m.First)
		p.synced = len(p.log)
		w.c.Marked(m)
	}
	w.checkpoint()
	return missing, nil
}

func (p *part) reopen(power bool) error {
	if power {
		p.log = p.log[:p.synced]
	}
	p.producers = txn.NewProducers()
	if err := p.producers.Restore(p.snapshot); err != nil {
		return err
	}
	for _, s := range p.log[p.sealed:] {
		p.producers.Observe(s.h, s.raw)
	}
	p.synced = len(p.log)
	return nil
}

// replay reads the journal. Groups are what it says: offsets that were committed before stay so.
func (w *world) replay() error {
	for _, g := range w.groups {
		g.pending = nil
	}
	for _, j := range w.journal {
		if err := w.replayOne(j); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) replayOne(j journaled) error {
	switch {
	case j.save != nil:
		e, err := txn.ParseEntry(j.save)
		return errors.Join(err, w.c.Restore(e))
	case j.decide != nil:
		d, err := txn.ParseDecide(j.decide)
		for _, name := range d.Groups {
			w.group(name).end(d.ProducerID, d.Commit)
		}
		return errors.Join(err, w.c.RestoreDecide(d))
	case j.pending != nil:
		if g := w.group(j.group); !slices.Contains(g.committed, j.pending.tag) && !slices.Contains(g.dropped, j.pending.tag) {
			g.pending = append(g.pending, *j.pending)
		}
	default:
		w.c.RestoreReserved(j.reserve)
	}
	return nil
}

func (w *world) restoreOpen() {
	for _, at := range w.partitions() {
		for _, o := range w.parts[at].producers.Open() {
			w.c.RestoreOpen(at, o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.groups)) {
		g := w.groups[name]
		g.pending = slices.DeleteFunc(g.pending, func(o pending) bool {
			keep := w.c.RestorePending(name, o.p, w.now)
			if !keep {
				g.dropped = append(g.dropped, o.tag)
			}
			return !keep
		})
	}
}

func (w *world) partitions() []txn.TopicPartition {
	return slices.SortedFunc(maps.Keys(w.parts), func(a, b txn.TopicPartition) int {
		return slices.Compare([]string{a.String()}, []string{b.String()})
	})
}

// name is Kafka's name of an error.
func name(err error) string {
	switch ke, ok := errors.AsType[*kerr.Error](err); {
	case err == nil:
		return "ok"
	case ok:
		return ke.Message
	default:
		return err.Error()
	}
}

func producer(p txn.Producer) string {
	if p == txn.NoProducer {
		return "none"
	}
	return fmt.Sprintf("%d/%d", p.ID, p.Epoch)
}

func mustMarker(raw []byte) batch.Marker {
	m, err := batch.ParseMarker(raw)
	if err != nil {
		panic(err)
	}
	return m
}
