// Package apache runs Apache Kafka, the real one, on this machine for tests: one broker, or three that replicate.
//
// A Cluster may be used from several goroutines, but one broker of it from one at a time. Brokers end with the process that
// started them, unless they were started to stay (Options.Stay); then Stop ends them later, from any process.
//
// Do not take the settings here for advice: they make a broker start fast and do its housekeeping twice a second. Do not
// assume that Java or Maven are there: Missing says what is not.
package apache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// The administrator that every cluster is formatted with, for the listener that asks who somebody is.
const (
	AdminUser     = "admin"
	AdminPassword = "admin-secret" // of a broker that only this machine can reach
)

// Options say what to start.
type Options struct {
	Dir     string // data, settings and logs; made if it is not there. Required.
	Brokers int    // 1 or 3; 0 means 1
	Stay    bool   // fixed ports (9092, ...) and processes that outlive this one, until Stop; else free ports

	Settings map[string]string // further lines of server.properties
}

// Cluster is a running Apache Kafka.
type Cluster struct {
	dir     string
	libs    string
	options Options
	brokers []*server
}

// Missing says why Apache Kafka cannot be started on this machine, or nil.
func Missing() error {
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("find %s: %w (Debian: openjdk-17-jre-headless, maven)", program, err)
		}
	}
	return nil
}

// Start fetches Apache Kafka if this machine does not have it yet, formats its storage, starts its brokers and returns
// when all of them answer.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if o.Brokers != 1 && o.Brokers != 3 {
		return nil, fmt.Errorf("start kafka: %d brokers, want 1 or 3", o.Brokers)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	libs, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, libs: libs, options: o}
	if err := c.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start kafka in %q: %w", dir, err)
	}
	if err := c.run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start kafka in %q: %w", dir, err), c.Close())
	}
	return c, nil
}

// Addrs are the brokers' addresses for anybody, in the order of their numbers. Who comes here is a super user.
func (c *Cluster) Addrs() []string { return c.each(func(s *server) int { return s.Port }) }

// SASLAddrs are the addresses that ask for a name and a password (SCRAM), with ACLs enforced for all but AdminUser.
func (c *Cluster) SASLAddrs() []string { return c.each(func(s *server) int { return s.SASLPort }) }

func (c *Cluster) each(port func(*server) int) (addrs []string) {
	for _, s := range c.brokers {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port(s)))
	}
	return addrs
}

// Logs are the files that the brokers write to.
func (c *Cluster) Logs() (files []string) {
	for _, s := range c.brokers {
		files = append(files, s.log())
	}
	return files
}

// Kill ends broker n (counted from 1) with SIGKILL and waits until it is gone.
func (c *Cluster) Kill(n int) error { return c.brokers[n-1].kill() }

// Pause stops broker n as it stands, with its connections open.
func (c *Cluster) Pause(n int) error { return c.brokers[n-1].pause() }

// Resume lets broker n go on after Pause.
func (c *Cluster) Resume(n int) error { return c.brokers[n-1].resume() }

// Stop ends broker n in order and waits until it is gone.
func (c *Cluster) Stop(n int) error { return c.brokers[n-1].stop() }

// Restart starts broker n again on its old data and addresses, after Kill or Stop, and returns when it answers.
func (c *Cluster) Restart(ctx context.Context, n int) error {
	s := c.brokers[n-1]
	if err := s.start(c.libs, c.options); err != nil {
		return err
	}
	return c.ready(ctx, s)
}

// Close ends every broker. One alone ends in order; three that end at once would each wait for a majority that goes away, so
// they are killed.
func (c *Cluster) Close() error {
	end := (*server).stop
	if len(c.brokers) > 1 {
		end = (*server).kill
	}
	var group errgroup.Group
	for _, s := range c.brokers {
		group.Go(func() error { return end(s) })
	}
	return group.Wait()
}

// run starts the brokers, waits until they answer, and writes down who they are.
func (c *Cluster) run(ctx context.Context) error {
	for _, s := range c.brokers {
		if err := s.start(c.libs, c.options); err != nil {
			return err
		}
	}
	if err := c.record(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for _, s := range c.brokers {
		if err := c.ready(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// prepare writes the settings and formats the storage of every broker that has none yet.
func (c *Cluster) prepare(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(c.dir, 0o755), c.plan(ctx)); err != nil {
		return err
	}
	id, err := c.clusterID(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range c.brokers {
		if err := os.MkdirAll(s.Dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.settings(), c.properties(s), 0o600); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(s.Dir, "data", "meta.properties")); err == nil {
			continue
		}
		group.Go(func() error { return c.format(ctx, s, id) })
	}
	return group.Wait()
}

// clusterID is the name all brokers of a cluster are formatted with, kept for the next start in the same folder.
func (c *Cluster) clusterID(ctx context.Context) (string, error) {
	file := filepath.Join(c.dir, "cluster-id")
	if id, err := os.ReadFile(file); err == nil {
		return string(id), nil
	}
	id, err := c.storageTool(ctx, "random-uuid")
	if err != nil {
		return "", err
	}
	return id, os.WriteFile(file, []byte(id), 0o600)
}

func (c *Cluster) format(ctx context.Context, s *server, id string) error {
	_, err := c.storageTool(ctx, "format", "-t", id, "-c", s.settings(), "--feature", "transaction.version=2",
		"--add-scram", fmt.Sprintf("SCRAM-SHA-256=[name=%s,password=%s]", AdminUser, AdminPassword))
	return err
}

// storageTool runs kafka-storage and returns the last line it prints.
func (c *Cluster) storageTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "java", append([]string{"-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(c.libs, "*"), "kafka.tools.StorageTool"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run kafka-storage %s: %w: %s%s", args[0], err, out, problems.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
