package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/test/crash/power"
)

// The brokers that the one process may embed.
const (
	ownBroker = "raven"
	kfakeName = "kfake"
)

// settings make the broker do often what it does rarely: begin segments, compact.
var settings = map[string]string{
	"log.segment.bytes":          strconv.Itoa(1 << 20),
	"log.cleaner.backoff.ms":     "200",
	"transaction.max.timeout.ms": "900000",
}

// playNode is `raven up`: broker, workers and sinks in one process. It prints a line when it is up.
func playNode(ctx context.Context, log *slog.Logger) error {
	o, err := workerOptions(log)
	if err != nil {
		return err
	}
	addr := os.Getenv(envBrokers)
	if os.Getenv(envKind) == kfakeName {
		o.Brokers = []string{addr}
		if err := startKfake(addr, filepath.Join(o.Data, "log")); err != nil {
			return err
		}
		return playUp(ctx, o)
	}
	watch, err := watchFiles(os.Getenv(envAccount))
	if err != nil {
		return err
	}
	o.Listen = addr
	o.Embedded = func(b *broker.Options) {
		b.Settings, b.Files, b.NoSync = settings, watch, os.Getenv(envNoSync) != ""
	}
	return playUp(ctx, o)
}

// startKfake starts the other broker in this process. It ends with it.
func startKfake(addr, dir string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("start kfake: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("start kfake: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("start kfake: %w", err)
	}
	_, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(number), kfake.DataDir(dir), kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(8), kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": "1000"}))
	return err
}

// watchFiles keeps the account that the harness has begun.
func watchFiles(text string) (func(disk.FS) disk.FS, error) {
	if text == "" {
		return nil, nil
	}
	var a power.Account
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, fmt.Errorf("read %s=%q: %w", envAccount, text, err)
	}
	return func(files disk.FS) disk.FS {
		watched, err := a.Watch(files)
		if err != nil {
			panic(err) // the harness has begun it; without it the run proves nothing
		}
		return watched
	}, nil
}
