package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/stream"
	"ravenswood.dev/stream/tables"
	"ravenswood.dev/test/proof"
)

// finish lets everything come to its end, and compares the end with what a naive program makes of the input.
func (h *harness) finish(ctx context.Context) error {
	h.load.round()
	h.load.round()
	if err := h.load.flush(ctx); err != nil {
		return err
	}
	proof.Say("%d transfers sent; waiting for the rest to come out", h.load.sent.Load())
	if err := h.awaitEnd(ctx); err != nil {
		proof.Say("%v; counting all the same", err)
		h.findings.Note("%v", err)
	}
	r, err := replay(ctx, h.cfg)
	if err != nil {
		return err
	}
	if n := int64(len(r.transfers)); n != h.load.sent.Load() || h.load.refused.Load() > 0 {
		return fmt.Errorf("write load: %d transfers of %d are on the log, %d records were refused", n, h.load.sent.Load(), h.load.refused.Load())
	}
	h.reader.mu.Lock()
	h.reader.audit.close(r)
	h.reader.mu.Unlock()
	if err := h.checkTables(ctx, r); err != nil {
		return err
	}
	for _, w := range h.workers {
		err = errors.Join(err, w.stop(stopBound))
	}
	return errors.Join(err, h.checkLetters(ctx))
}

// awaitEnd waits until the reader has what there must be.
func (h *harness) awaitEnd(ctx context.Context) error {
	want, seen, since := outputs(h.load.sent.Load()), int64(0), time.Now()
	for end := time.Now().Add(endPatience); ; proof.Sleep(ctx, 200*time.Millisecond) {
		got := h.reader.counts().Records
		if got >= want {
			return nil
		}
		if got > seen {
			seen, since = got, time.Now()
		}
		if time.Now().After(end) || time.Since(since) > endStall || ctx.Err() != nil {
			return fmt.Errorf("wait for the end: %d of %d records have come out", got, want)
		}
	}
}

// stores are what the tables hold in the end.
type stores struct {
	accounts map[string]account
	counts   map[string]int64
	volumes  map[window]volume
	book     map[string]standing
}

// checkTables compares the stores with the replay. What was committed a moment ago may not be in them yet.
func (h *harness) checkTables(ctx context.Context, r *replayed) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	want := stores{accounts: r.accounts, counts: map[string]int64{}, volumes: r.volumes, book: r.book}
	for name, s := range r.book {
		want.counts[name] = s.N
	}
	for end := time.Now().Add(storesPatience); ; proof.Sleep(ctx, 500*time.Millisecond) {
		got, err := h.readStores(ctx, r)
		if err != nil {
			return err
		}
		wrong := slices.Concat(differences(tableAccounts, got.accounts, want.accounts), differences(tableCount, got.counts, want.counts),
			differences(tableVolume, got.volumes, want.volumes), differences(bookChangelog, got.book, want.book))
		if len(wrong) > 0 && time.Now().Before(end) {
			continue
		}
		for name := range want.book {
			h.money += got.book[name].Balance - r.accounts[name].Opening
		}
		for _, line := range wrong {
			h.finals.Tables++
			h.findings.Note("table %s", line)
		}
		return nil
	}
}

// readStores asks the stores themselves, through whichever worker, and reads the book's changelog.
func (h *harness) readStores(ctx context.Context, r *replayed) (s stores, err error) {
	client := tables.NewClient(tables.Options{}, h.admins()...)
	if s.counts, err = entries(ctx, tables.Of(client.Table(bankName, tableCount), stream.String(), stream.Int64())); err != nil {
		return s, fmt.Errorf("ask table %q: %w", tableCount, err)
	}
	if s.accounts, err = entries(ctx, tables.Of(client.Table(bankName, tableAccounts), stream.String(), stream.JSON[account]())); err != nil {
		return s, fmt.Errorf("ask table %q: %w", tableAccounts, err)
	}
	if s.volumes, err = h.askVolumes(ctx, client, r); err != nil {
		return s, err
	}
	s.book = map[string]standing{}
	return s, readAll(ctx, h.cfg, bookChangelog, func(k *kgo.Record, line standing) { s.book[string(k.Key)] = line })
}

func entries[V any](ctx context.Context, table tables.Typed[string, V]) (map[string]V, error) {
	found := map[string]V{}
	for e, err := range table.All(ctx, all()) {
		if err != nil {
			return nil, err
		}
		found[e.Key] = e.Value
	}
	return found, nil
}

func all() tables.Range {
	return tables.Range{Ask: tables.Ask{Fresh: true, Wait: tables.WaitMax}, Limit: tables.LimitMax}
}

func (h *harness) askVolumes(ctx context.Context, client *tables.Client, r *replayed) (map[window]volume, error) {
	table := tables.Of(client.Table(bankName, tableVolume), stream.String(), stream.JSON[volume]())
	found := map[window]volume{}
	asked := map[string]bool{}
	for w := range r.volumes {
		if asked[w.region] {
			continue
		}
		asked[w.region] = true
		entries, err := table.Windows(ctx, w.region, tables.Span{Ask: all().Ask, Limit: tables.LimitMax})
		if err != nil {
			return nil, fmt.Errorf("ask table %q: %w", tableVolume, err)
		}
		for _, e := range entries {
			found[window{w.region, e.Start.UnixMilli()}] = e.Value
		}
	}
	return found, nil
}

func (h *harness) admins() (addresses []string) {
	for _, w := range h.workers {
		if at := w.asked(); at != "" {
			addresses = append(addresses, at)
		}
	}
	return addresses
}

// differences are the entries that one of two tables has and the other has not, or has otherwise.
func differences[K, V comparable](name string, got, want map[K]V) (all []string) {
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			all = append(all, fmt.Sprintf("%s: %v is %v (%v), the replay has %v", name, k, g, ok, v))
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			all = append(all, fmt.Sprintf("%s: %v is %v, the replay does not have it", name, k, g))
		}
	}
	return all
}

// checkLetters counts the dead letters: nothing here is a reason for one.
func (h *harness) checkLetters(ctx context.Context) error {
	return kafka.ReadToEnd(ctx, h.cfg, deadLetters, nil, func(k *kgo.Record) error {
		h.letters++
		h.findings.Note("dead letter %d/%d: %.200s %v", k.Partition, k.Offset, k.Value, headers(k))
		return nil
	})
}

func headers(k *kgo.Record) (all []string) {
	for _, x := range k.Headers {
		all = append(all, fmt.Sprintf("%s=%.80s", x.Key, x.Value))
	}
	return all
}
