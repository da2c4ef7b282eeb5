package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Restored is how long a task's stores take to be there: on a machine that has nothing, from the changelog and from a
// snapshot, and on one that has a copy, when the owner is killed.
type Restored struct {
	Benchmark string       `json:"benchmark"`
	Records   int          `json:"records"`  // each of another key
	StoreMB   float64      `json:"store_mb"` // keys and values
	FillPerS  float64      `json:"fill_records_per_s"`
	Saving    float64      `json:"snapshot_saving_s"` // of all tasks, from the start of the process
	Changelog RestoreTimes `json:"changelog"`
	Snapshot  RestoreTimes `json:"snapshot"`
	Standby   Takeover     `json:"standby"`
	Machine   Machine      `json:"machine"`
}

// RestoreTimes is a start of a process that has no stores.
type RestoreTimes struct {
	Seconds float64 `json:"seconds"` // from the start of the process to all tasks at work
	Aim     float64 `json:"aim_s"`
	MBPerS  float64 `json:"mb_per_s"`
	Records int64   `json:"records_from_changelog"`
}

// Takeover is what happens after the owner of half of the tasks was killed with kill -9.
type Takeover struct {
	Detected float64 `json:"detected_s"` // from the kill to the group noticing it: the session timeout
	Seconds  float64 `json:"seconds"`    // from there to the first record of the dead one's tasks that a reader of committed records sees
	All      float64 `json:"all_tasks_s"`
	Aim      float64 `json:"aim_s"`
	Tasks    int     `json:"tasks"`
	Records  int64   `json:"records_from_changelog"`
}

// The aims, for a store of 1 GB.
const (
	changelogAim = 60
	snapshotAim  = 10
	standbyAim   = 1
)

// restorePatience bounds each wait of the measurement.
const restorePatience = 20 * time.Minute

// Restore fills stores with values of a kilobyte and measures how they come back.
func Restore(ctx context.Context, o Options) (*Restored, error) {
	o = o.orElse(1_000_000, 1, 0)
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	r := &restoring{cluster: c, o: o, name: unique("restore"), in: unique("in"), snapshots: filepath.Join(c.dir, "snapshots"), result: &Restored{
		Benchmark: "restore", Records: o.Records, StoreMB: round(float64(o.Records)*(8+kilobyte)/megabyte, 1), Machine: o.machine(),
		Changelog: RestoreTimes{Aim: changelogAim}, Snapshot: RestoreTimes{Aim: snapshotAim}, Standby: Takeover{Aim: standbyAim},
	}}
	for _, step := range []func(context.Context) error{r.prepare, r.fillStores, r.save, r.fromChangelog, r.fromSnapshot, r.byStandby} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r.result, nil
}

// restoring is the measurement under way.
type restoring struct {
	*cluster
	o         Options
	name, in  string
	snapshots string
	result    *Restored
}

// worker starts a process; without a folder of snapshots it uses none.
func (r *restoring) worker(ctx context.Context, id, snapshots string, every time.Duration) (*process, error) {
	w := r.options(id)
	w.Snapshots, w.SnapshotEvery = snapshots, every
	return r.startWorker(ctx, r.o, w)
}

func (r *restoring) options(id string) WorkerOptions {
	return WorkerOptions{ID: id, Topology: r.name, Input: r.in, Bolt: "keep", Dir: filepath.Join(r.dir, id)}
}

func (r *restoring) prepare(ctx context.Context) error {
	p, err := r.options("a").plan()
	if err != nil {
		return err
	}
	return r.cluster.prepare(ctx, p)
}

// fillStores writes the input and lets a worker keep it.
func (r *restoring) fillStores(ctx context.Context) error {
	r.o.say("writing %d records of a kilobyte", r.o.Records)
	chance := rand.NewChaCha8([32]byte{1})
	err := r.fill(ctx, r.in, r.o.Records, func(i int) (k, v []byte) {
		v = make([]byte, kilobyte)
		_, _ = chance.Read(v) // never fails; what does not compress takes longest
		return binary.BigEndian.AppendUint64(nil, uint64(i)), v
	})
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := r.worker(ctx, "a", "", 0)
	if err != nil {
		return err
	}
	if _, err := p.until(ctx, "all records to be kept", func(s workerStatus) bool { return s.In >= int64(r.o.Records) }); err != nil {
		p.kill()
		return err
	}
	r.result.FillPerS = round(float64(r.o.Records)/time.Since(began).Seconds(), 0)
	r.o.say("kept, %.0f records/s", r.result.FillPerS)
	return p.stop()
}

// save makes a snapshot of each task.
func (r *restoring) save(ctx context.Context) error {
	began := time.Now()
	p, err := r.worker(ctx, "a", r.snapshots, 100*time.Millisecond)
	if err != nil {
		return err
	}
	for len(r.savedTasks()) < partitions {
		if time.Since(began) > restorePatience {
			p.kill()
			return fmt.Errorf("wait for snapshots: %d of %d tasks are saved", len(r.savedTasks()), partitions)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			p.kill()
			return err
		}
	}
	r.result.Saving = seconds(time.Since(began))
	r.o.say("snapshots saved in %.2f s", r.result.Saving)
	return p.stop()
}

func (r *restoring) savedTasks() []string {
	all, _ := filepath.Glob(filepath.Join(r.snapshots, r.name, "*", "*", "manifests", "*.json")) // the pattern is right
	tasks := make([]string, 0, len(all))
	for _, path := range all {
		tasks = append(tasks, filepath.Dir(path))
	}
	slices.Sort(tasks)
	return slices.Compact(tasks)
}

func (r *restoring) fromChangelog(ctx context.Context) error {
	return r.measure(ctx, "changelog", "", &r.result.Changelog)
}

func (r *restoring) fromSnapshot(ctx context.Context) error {
	return r.measure(ctx, "snapshot", r.snapshots, &r.result.Snapshot)
}

// measure starts a worker that has nothing.
func (r *restoring) measure(ctx context.Context, what, snapshots string, times *RestoreTimes) error {
	if err := os.RemoveAll(filepath.Join(r.dir, "a")); err != nil {
		return err
	}
	began := time.Now()
	p, err := r.worker(ctx, "a", snapshots, time.Hour)
	if err != nil {
		return err
	}
	s, err := p.until(ctx, "all tasks to work", func(s workerStatus) bool { return len(s.Running) == partitions })
	if err != nil {
		p.kill()
		return err
	}
	took := time.Since(began)
	times.Seconds, times.Records = seconds(took), s.Restored
	times.MBPerS = round(r.result.StoreMB/took.Seconds(), 1)
	r.o.say("from the %s: %.2f s (aim %.0f s), %d records of the changelog read", what, times.Seconds, times.Aim, times.Records)
	return p.stop()
}

// byStandby lets two workers share the tasks, each with copies of the other's stores, and kills one.
func (r *restoring) byStandby(ctx context.Context) error {
	a, err := r.worker(ctx, "a", r.snapshots, time.Hour)
	if err != nil {
		return err
	}
	defer a.kill()
	b, err := r.worker(ctx, "b", r.snapshots, time.Hour)
	if err != nil {
		return err
	}
	defer b.kill()
	shared := func(s workerStatus) bool {
		return len(s.Running) > 0 && len(s.Running)+s.Standby == partitions && s.Lag == 0
	}
	if _, err := b.until(ctx, "the second worker to have its share", func(s workerStatus) bool { return shared(s) && s.Standby > 0 }); err != nil {
		return err
	}
	dead, err := a.until(ctx, "the first worker to have its share", shared)
	if err != nil {
		return err
	}
	return r.kill(ctx, a, b, dead.Running)
}

// kill ends worker a while records flow, and watches when b goes on with its tasks.
func (r *restoring) kill(ctx context.Context, a, b *process, tasks []int32) error {
	before, err := b.status(askStatus)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var around sync.WaitGroup
	defer around.Wait()
	defer cancel()
	reader, err := kgo.NewClient(append(r.cfg.Options(), kgo.ConsumeTopics(r.name+"-out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(50*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer reader.Close()
	around.Go(func() { r.flow(ctx) })
	firsts := make(chan taken, partitions)
	flowing := make(chan struct{})
	around.Go(func() { r.watchOut(ctx, reader, tasks, flowing, firsts) })
	select {
	case <-flowing:
	case <-time.After(restorePatience):
		return errors.New("wait for records to flow: none came")
	}
	r.o.say("killing the owner of %d tasks", len(tasks))
	killed := time.Now()
	a.kill()
	detected, err := r.detect(ctx)
	if err != nil {
		return err
	}
	var first, last time.Time
	for n := range tasks {
		select {
		case t := <-firsts:
			last = t.at
			if n == 0 {
				first = t.at
			}
		case <-time.After(restorePatience):
			return fmt.Errorf("wait for the tasks of the dead worker: %d of %d came back", n, len(tasks))
		}
	}
	after, err := b.status(askStatus)
	if err != nil {
		return err
	}
	t := &r.result.Standby
	t.Detected, t.Seconds, t.All = seconds(detected.Sub(killed)), seconds(first.Sub(detected)), seconds(last.Sub(detected))
	t.Tasks, t.Records = len(tasks), after.Restored-before.Restored
	r.o.say("by a standby: %.2f s after it was detected (aim %.0f s), which took %.2f s; all tasks after %.2f s", t.Seconds, t.Aim, t.Detected, t.All)
	return nil
}

// flow writes a record to some partition every few milliseconds.
func (r *restoring) flow(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := uint64(0); ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.client.Produce(ctx, &kgo.Record{Topic: r.in, Key: binary.BigEndian.AppendUint64(nil, i%uint64(r.o.Records)), Value: make([]byte, kilobyte)}, nil)
	}
}

// taken is a task that the other worker has taken over.
type taken struct {
	partition int32
	at        time.Time
}

// watchOut tells when records flow, and then the first result of each of the tasks that worker b has made.
func (r *restoring) watchOut(ctx context.Context, reader *kgo.Client, tasks []int32, flowing chan<- struct{}, firsts chan<- taken) {
	missing := slices.Clone(tasks)
	told := false
	for ctx.Err() == nil && len(missing) > 0 {
		fetches := reader.PollFetches(ctx)
		now := time.Now()
		fetches.EachRecord(func(rec *kgo.Record) {
			if !told {
				close(flowing)
				told = true
			}
			id, n, _ := strings.Cut(string(rec.Value), "/")
			number, err := strconv.ParseInt(n, 10, 32)
			if at := slices.Index(missing, int32(number)); err == nil && id == "b" && at >= 0 {
				missing = slices.Delete(missing, at, at+1)
				firsts <- taken{int32(number), now}
			}
		})
	}
}

// detect waits until the group has one member less.
func (r *restoring) detect(ctx context.Context) (time.Time, error) {
	p, err := r.options("a").plan()
	if err != nil {
		return time.Time{}, err
	}
	groups := kadm.NewClient(r.client)
	for begun := time.Now(); time.Since(begun) < restorePatience; {
		all, err := groups.DescribeGroups(ctx, p.Group)
		if g, ok := all[p.Group]; err == nil && ok && g.Err == nil && (len(g.Members) < 2 || g.State != "Stable") {
			return time.Now(), nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, errors.New("wait for the group to notice the death of a worker: it does not")
}

func seconds(d time.Duration) float64 { return round(d.Seconds(), 3) }
