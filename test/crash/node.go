package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/crash/power"
	"ravenswood.dev/test/proof"
)

// trial says what a run of the one process is to be.
type trial struct {
	name     string
	broker   string // ownBroker or kfakeName
	delivery string
	power    bool // every kill is a loss of power
	noSync   bool
	kills    int
	seed     uint64
	breaks   bool // a negative control: it must be found that something broke
}

// nodeHarness is one run in which everything is one process: broker, workers, sinks. The load is outside, in this
// process, and lives on.
type nodeHarness struct {
	o        options
	trial    trial
	dir      string
	database string
	cfg      kafka.Config
	fates    *fates
	account  power.Account
	rng      *rand.Rand // of the losses of power
	load     *outside
	findings *proof.Findings
	starts   []int64 // milliseconds, of the lives that were up before they ended
	result   nodeResult
}

const (
	nodePatience = 20 * time.Second // for a start: whoever takes longer does not come up
	endQuick     = 8 * time.Second  // for the end of a run that forgets
	nodeID       = "node"
)

// runNode does one run in a folder of its own.
func runNode(ctx context.Context, o options, t trial) (*nodeResult, error) {
	dir, err := os.MkdirTemp("", "raven-crash-")
	if err != nil {
		return nil, err
	}
	addr, err := proof.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	h := &nodeHarness{
		o: o, trial: t, dir: dir, database: filepath.Join(dir, "results.db"),
		cfg:      kafka.Config{Brokers: []string{addr}, ClientID: "outside", Log: slog.New(slog.DiscardHandler)},
		fates:    newNodeFates(t.seed, t.kills-1, t.delivery),
		account:  power.Account{Root: filepath.Join(dir, "data", "log"), File: filepath.Join(dir, "account"), Grave: filepath.Join(dir, "grave")},
		rng:      rand.New(rand.NewPCG(t.seed, 1)),
		findings: &proof.Findings{},
		result:   newNodeResult(t),
	}
	proof.Say("%s, %d kills, seed %d, in %s", t.name, t.kills, t.seed, dir)
	err = h.play(ctx)
	h.count()
	h.result.conclude(time.Since(began), h.findings, err)
	if o.keep || !h.result.OK {
		h.result.Again = t.command()
		proof.Say("kept %s: logs, database, the broker's data; again: %s", dir, t.command())
		return &h.result, err
	}
	return &h.result, os.RemoveAll(dir)
}

// play is the course of a run.
func (h *nodeHarness) play(ctx context.Context) error {
	svc, err := startService(ctx, h.o.slowest)
	if err != nil {
		return err
	}
	defer svc.close()
	if err := errors.Join(writeFiles(filepath.Join(h.dir, "files"), h.trial.delivery, svc.addr, h.database), h.begin()); err != nil {
		return err
	}
	if err := h.firstLife(ctx); err != nil {
		return err
	}
	h.load = newOutside(h.cfg, h.o, h.trial.seed, h.findings)
	h.load.start(ctx)
	defer h.load.stop()
	err = h.lives(ctx)
	h.result.CallsAgain = svc.again.Load()
	return err
}

// begin opens the account for the power that will fail.
func (h *nodeHarness) begin() error {
	if !h.trial.power {
		return nil
	}
	return h.account.Begin()
}

// firstLife makes the topics. The load begins when it is over.
func (h *nodeHarness) firstLife(ctx context.Context) error {
	p, err := h.startNode(fate{})
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := h.awaitUp(ctx, p); err != nil {
		return err
	}
	admin, err := kafka.NewAdmin(h.cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	_, err = admin.EnsureTopics(ctx, loadTopics())
	return err
}

// lives are those under load, one in which all comes to its end, and one after that, in which is read what is left.
func (h *nodeHarness) lives(ctx context.Context) error {
	for end, more := h.fates.next(); more; end, more = h.fates.next() {
		if err := h.live(ctx, end); err != nil {
			return err
		}
	}
	last, err := h.lastLife(ctx)
	if last != nil {
		last.Kill()
		err = errors.Join(err, h.died(last, "at rest"))
	}
	if err != nil {
		return err
	}
	return h.afterlife(ctx)
}

// live is one life and its end.
func (h *nodeHarness) live(ctx context.Context, end fate) error {
	p, err := h.startNode(end)
	if err != nil {
		return err
	}
	defer p.Kill()
	how, err := h.awaitDeath(ctx, p, end)
	if err != nil {
		return err
	}
	p.Kill()
	return h.died(p, how)
}

func (h *nodeHarness) startNode(end fate) (*proof.Process, error) {
	env := []string{
		envDir + "=" + filepath.Join(h.dir, "files"), envData + "=" + filepath.Join(h.dir, "data"), envID + "=" + nodeID,
		envBrokers + "=" + h.cfg.Brokers[0], envKind + "=" + h.trial.broker,
	}
	if h.trial.power {
		account, _ := json.Marshal(h.account) // plain text
		env = append(env, envAccount+"="+string(account))
	}
	if h.trial.noSync {
		env = append(env, envNoSync+"=1")
	}
	if end.step != "" {
		env = append(env, envAt+"="+end.at())
	}
	return proof.Start(nodeID, filepath.Join(h.dir, "node.log"), env...)
}

// awaitDeath lets a life run until its fate, and returns how it came; a process that ends in any other way is a finding.
func (h *nodeHarness) awaitDeath(ctx context.Context, p *proof.Process, end fate) (how string, err error) {
	how = end.name()
	limit := end.after
	if end.step != "" {
		limit = min(limit, 5*time.Second)
	}
	select {
	case <-p.Dead():
		if end.step == "" || !p.Signalled() {
			return "", fmt.Errorf("the node ended by itself after %d kills: %w (see its log)", h.result.Kills, p.Err())
		}
	case <-time.After(limit):
		if end.step != "" {
			how = "too late for a step"
		}
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return how, nil
}

// died counts a kill, and takes the power.
func (h *nodeHarness) died(p *proof.Process, how string) error {
	if up := p.UpAfter().Milliseconds(); up > 0 {
		h.starts = append(h.starts, up)
	}
	h.result.Kills++
	h.result.KillsAt[how]++
	if h.result.Kills%20 == 0 || h.result.Kills == h.trial.kills {
		proof.Say("%s: kill %d; %s", h.trial.name, h.result.Kills, h.load.progress())
	}
	if !h.trial.power {
		return nil
	}
	losses, err := h.account.Lose(h.rng)
	h.result.Losses.Add(losses)
	return err
}

func (h *nodeHarness) awaitUp(ctx context.Context, p *proof.Process) error {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	if _, err := p.FirstLine(ctx); err != nil {
		return fmt.Errorf("start the node after %d kills: %w (see its log)", h.result.Kills, err)
	}
	return nil
}

// lastLife ends the load and waits until all of it has come through.
func (h *nodeHarness) lastLife(ctx context.Context) (*proof.Process, error) {
	p, err := h.startNode(fate{})
	if err != nil {
		return nil, err
	}
	if err := h.awaitUp(ctx, p); err != nil {
		return p, err
	}
	h.load.endFeeds()
	if err := h.awaitEnd(ctx); err != nil {
		h.findings.Note("%v", err)
	}
	h.load.stop()
	return p, nil
}

// afterlife reads what is there after one more kill, and ends the process in order.
func (h *nodeHarness) afterlife(ctx context.Context) error {
	p, err := h.startNode(fate{})
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := h.awaitUp(ctx, p); err != nil {
		return err
	}
	if err := h.check(ctx); err != nil {
		return err
	}
	if err := p.Stop(30 * time.Second); err != nil {
		return fmt.Errorf("stop the node: %w", err)
	}
	return nil
}

// awaitEnd waits until every group has worked off what it reads, and the database has every event.
func (h *nodeHarness) awaitEnd(ctx context.Context) error {
	patience := h.patience(endPatience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	admin, err := kafka.NewAdmin(h.cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	_, acked, _, _ := h.load.input.counts()
	for {
		in, err1 := lag(ctx, admin, topicIn, groupIn)
		stored, err2 := lag(ctx, admin, topicStored, groupStored)
		copied, err3 := lag(ctx, admin, topicPlain, groupCopier)
		events := countEvents(ctx, h.database)
		err := errors.Join(err1, err2, err3)
		if err == nil && in == 0 && stored == 0 && copied == 0 && events >= acked {
			return nil
		}
		proof.Sleep(ctx, 200*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the end: after %s there are %d records to read, %d to store, %d to copy, and %d of %d events in the database (%w)",
				patience, in, stored, copied, events, acked, errors.Join(err, ctx.Err()))
		}
	}
}

// patience is how long something is waited for. Where the log forgets, it may never come.
func (h *nodeHarness) patience(long time.Duration) time.Duration {
	if h.trial.noSync {
		return endQuick
	}
	return long
}

func (t trial) command() string {
	line := fmt.Sprintf("go run ./test/crash --what node --kills %d --seed %d --broker %s --delivery %s", t.kills, t.seed, t.broker, t.delivery)
	if t.power {
		line += " --power-loss"
	}
	if t.noSync {
		line += " --no-sync"
	}
	return line
}
