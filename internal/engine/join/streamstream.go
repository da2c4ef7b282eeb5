package join

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// StreamStreamConfig joins the records of two streams whose event times are close to each other. All durations are whole
// milliseconds; what is finer is cut off.
type StreamStreamConfig struct {
	// A left record at time t meets right records from t - Before to t + After, both included.
	Before, After time.Duration
	// Grace is how long after the end of its window a record may still come or be met, by stream time.
	Grace  time.Duration
	Type   Type
	Join   Joiner
	Format record.Format // of what Join returns
	Memory bool          // the stores are kept in memory
	// LateApart sends late records of the right side to PortLateRight instead of PortLate.
	LateApart bool
	Dropped   Dropped
}

// The stores of the bolt.
const (
	leftBuffer  = "left"
	rightBuffer = "right"
	waiting     = "waiting"
)

// The ports of records that come too late, as they came. Results go to port 0.
const (
	PortLate      = 1
	PortLateRight = 2 // of the right side, if the config keeps the sides apart
)

// Stores are the join's own: a buffer per side, and for left and outer joins what waits for a partner.
func (c StreamStreamConfig) Stores() []store.Spec {
	specs := []store.Spec{
		{Name: leftBuffer, Kind: store.KindWindow, Memory: c.Memory, Retention: c.retention(leftSide)},
		{Name: rightBuffer, Kind: store.KindWindow, Memory: c.Memory, Retention: c.retention(rightSide)},
	}
	if c.Type != Inner {
		specs = append(specs, store.Spec{Name: waiting, Kind: store.KindKeyValue, Memory: c.Memory})
	}
	return specs
}

// retention is how long a side's records are kept: a millisecond longer than they can be met.
func (c StreamStreamConfig) retention(side int) time.Duration {
	return time.Duration(c.lifetime(side)+1) * time.Millisecond
}

// reach is how much later than a record of a side its partner may be.
func (c StreamStreamConfig) reach(side int) int64 {
	if side == leftSide {
		return c.After.Milliseconds()
	}
	return c.Before.Milliseconds()
}

// lifetime is how far stream time may pass a record of a side until its window is closed.
func (c StreamStreamConfig) lifetime(side int) int64 {
	return c.reach(side) + c.Grace.Milliseconds()
}

// NewStreamStream makes the processor. Records without key or value are dropped.
//
// A record's window is open until stream time is past the record's time, its reach and the grace together. Two records of
// one key meet if their times are close enough and the window of the first is open when the second comes. A record that
// met nobody has its result, if the type wants one, when its window closes; so it has either that one or those of its
// pairs, never both, in whatever order the records come. One that comes when its own window is closed already, and meets
// nobody, goes to PortLate.
func NewStreamStream(c StreamStreamConfig) processor.Processor { return &streamStream{cfg: c} }

type streamStream struct {
	losses
	cfg     StreamStreamConfig
	c       processor.Context
	buffers [2]store.Windows
	waiting store.KeyValue // nil for inner joins
	// earliest is, by side, a time before which nothing waits. It is a cache, and errs only downwards: writes are undone
	// behind our back, so it is raised only to what a look has found before it changed anything.
	earliest [2]int64
}

// Open implements processor.Processor.
func (j *streamStream) Open(c processor.Context) error {
	j.c = c
	j.tell(c, j.cfg.Dropped)
	j.buffers = [2]store.Windows{
		leftSide:  c.Windows(store.NameOf(c.Bolt(), leftBuffer)),
		rightSide: c.Windows(store.NameOf(c.Bolt(), rightBuffer)),
	}
	if j.cfg.Type == Inner {
		return nil
	}
	j.waiting = c.KeyValue(store.NameOf(c.Bolt(), waiting))
	j.earliest = [2]int64{math.MinInt64, math.MinInt64}
	c.Schedule(processor.StreamTime, time.Millisecond, j.close)
	c.Schedule(processor.WallClock, closingPause, j.close) // what was too much at once, also by who worked here before
	return nil
}

// Process implements processor.Processor.
func (j *streamStream) Process(side int, r *record.Record) error {
	switch {
	case r.Key == nil:
		j.lose(NoKey)
		return nil
	case r.Value == nil:
		j.lose(NoValue)
		return nil
	}
	met, err := j.meet(side, r)
	switch {
	case err != nil:
		return err
	case j.open(side, r.Time.UnixMilli()):
		j.remember(side, r, !met && j.cfg.Type.keeps(side))
	case !met:
		j.lose(Late)
		j.c.Emit(j.portLate(side), r)
	}
	return nil
}

func (j *streamStream) portLate(side int) int {
	if j.cfg.LateApart && side == rightSide {
		return PortLateRight
	}
	return PortLate
}

// open says whether the window of a side's record is.
func (j *streamStream) open(side int, at int64) bool { return at >= j.cut(side) }

// cut is the time from which on a side's records are open.
func (j *streamStream) cut(side int) int64 {
	return j.c.StreamTime().UnixMilli() - j.cfg.lifetime(side)
}

// meet joins a record with all that the other side has for it.
func (j *streamStream) meet(side int, r *record.Record) (met bool, err error) {
	other := 1 - side
	from, to := r.Time.UnixMilli()-j.cfg.reach(other), r.Time.UnixMilli()+j.cfg.reach(side)
	for at, e := range j.buffers[other].Fetch(r.Key, time.UnixMilli(from), time.UnixMilli(to)) {
		if !j.open(other, at.Start.UnixMilli()) {
			continue
		}
		if err := j.pair(side, r, present(e.Value), at.Start); err != nil {
			return met, err
		}
		j.stopWaiting(other, waitKey(other, at.Start.UnixMilli(), at.Seq, r.Key))
		met = true
	}
	return met, nil
}

func (j *streamStream) pair(side int, r *record.Record, partner []byte, at time.Time) error {
	left, right := r.Value, partner
	if side == rightSide {
		left, right = partner, r.Value
	}
	value, err := j.cfg.Join(r.Key, left, right)
	if err != nil {
		return err
	}
	result := r.Clone()
	result.Value, result.Old, result.Time, result.Format = value, nil, later(r.Time, at), j.cfg.Format
	j.c.Emit(0, result)
	return nil
}

func (j *streamStream) stopWaiting(side int, key []byte) {
	if !j.cfg.Type.keeps(side) {
		return
	}
	if e, ok := j.waiting.Get(key); ok {
		j.waiting.Delete(key, e.Time)
	}
}

// remember puts a record where later ones find it.
func (j *streamStream) remember(side int, r *record.Record, waits bool) {
	buffer, seq := j.buffers[side], sequence(r.Origin)
	for {
		// Records made of one have one origin, and a hash may meet another: the next free number is as good.
		if _, taken := buffer.Get(r.Key, r.Time, seq); !taken {
			break
		}
		seq++
	}
	buffer.Put(r.Key, r.Time, seq, store.Entry{Value: r.Value, Time: r.Time})
	if !waits {
		return
	}
	at := r.Time.UnixMilli()
	j.waiting.Put(waitKey(side, at, seq, r.Key), store.Entry{Value: encodeWaiting(r), Time: r.Time})
	j.earliest[side] = min(j.earliest[side], at)
}

// sequence tells records of one key and time apart.
func sequence(o record.Origin) uint64 {
	h := fnv.New64a()
	var place [12]byte
	binary.BigEndian.PutUint32(place[:], uint32(o.Partition))
	binary.BigEndian.PutUint64(place[4:], uint64(o.Offset))
	h.Write(place[:])
	h.Write([]byte(o.Topic))
	return h.Sum64()
}
