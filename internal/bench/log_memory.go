package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// LogMemory is what a lot of data costs our broker: memory while it is written, and the starts after it.
type LogMemory struct {
	Gigabytes float64  `json:"gigabytes"`
	PerS      float64  `json:"records_per_s"`
	HeapStart float64  `json:"heap_mb_start"` // alive after a collection, before anything was written
	HeapMid   float64  `json:"heap_mb_middle"`
	HeapEnd   float64  `json:"heap_mb_end"`
	RSSStart  float64  `json:"rss_mb_start"`
	RSSPeak   float64  `json:"rss_mb_peak"`
	RSSEnd    float64  `json:"rss_mb_end"`
	StopTook  float64  `json:"stop_ms"`
	Clean     LogStart `json:"start_after_stop"`
	Killed    LogStart `json:"start_after_kill"`
}

// LogStart is a start on what is there.
type LogStart struct {
	Took    float64 `json:"ready_ms"` // from the start of the process to the first answer
	RSSPeak float64 `json:"rss_mb_peak"`
}

// memory writes to a broker of its own in steps, looks at it after each, and starts it again after a stop and after a kill.
func (b *logBench) memory(ctx context.Context) error {
	dir := filepath.Join(b.dir, "memory")
	start := func() (*process, error) {
		return startProcess(ctx, b.o.Self, dir)
	}
	p, err := start()
	if err != nil {
		return err
	}
	r := &LogMemory{Gigabytes: b.o.Gigabytes}
	if err := b.grow(ctx, p, r); err != nil {
		p.kill()
		return err
	}
	began := time.Now()
	if err := p.stop(); err != nil {
		return err
	}
	r.StopTook = millis(time.Since(began))
	if p, err = start(); err != nil {
		return err
	}
	r.Clean = started(p)
	if err := b.killed(ctx, p); err != nil {
		return err
	}
	if p, err = start(); err != nil {
		return err
	}
	r.Killed = started(p)
	b.result.Memory = r
	b.o.say("  %.1f GB: heap %.0f, %.0f, %.0f MB   RSS %.0f, at most %.0f, then %.0f MB   start %.0f ms %.0f MB, after a kill %.0f ms %.0f MB",
		r.Gigabytes, r.HeapStart, r.HeapMid, r.HeapEnd, r.RSSStart, r.RSSPeak, r.RSSEnd, r.Clean.Took, r.Clean.RSSPeak, r.Killed.Took, r.Killed.RSSPeak)
	return p.stop()
}

func started(p *process) LogStart {
	_, peak := p.resident()
	return LogStart{Took: millis(p.took), RSSPeak: round(peak, 1)}
}

// grow writes records of a kilobyte in ten steps.
func (b *logBench) grow(ctx context.Context, p *process, r *LogMemory) error {
	const steps = 10
	c, err := p.cluster(b.o.Options)
	if err != nil {
		return err
	}
	defer c.release()
	topic, values := "grown", payloads(kilobyte)
	if err := c.topicOf(ctx, topic, partitions); err != nil {
		return err
	}
	var rates Series
	look := func(heap *float64) error {
		h, err := p.heap()
		*heap = h.Live
		return err
	}
	if err := look(&r.HeapStart); err != nil {
		return err
	}
	r.RSSStart, _ = p.resident()
	for step := range steps {
		rate, err := produceRate(ctx, p.address, topic, "none", int(b.o.Gigabytes*(1<<30)/steps/kilobyte), values)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
		if step == steps/2-1 {
			if err := look(&r.HeapMid); err != nil {
				return err
			}
		}
		now, _ := p.resident()
		b.o.say("  %4.1f GB written, RSS %.0f MB", float64(step+1)*b.o.Gigabytes/steps, now)
	}
	r.RSSEnd, r.RSSPeak = p.resident()
	r.PerS = round(rates.Median(), 0)
	r.RSSStart, r.RSSPeak, r.RSSEnd = round(r.RSSStart, 1), round(r.RSSPeak, 1), round(r.RSSEnd, 1)
	return look(&r.HeapEnd)
}

// killed ends a broker in the middle of writing.
func (b *logBench) killed(ctx context.Context, p *process) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writing := make(chan error, 1)
	values := payloads(kilobyte)
	go func() {
		_, err := produceRate(ctx, p.address, "grown", "none", 1<<40/kilobyte, values)
		writing <- err
	}()
	select {
	case err := <-writing:
		p.kill()
		return fmt.Errorf("write until the kill: %w", err)
	case <-time.After(time.Second):
	}
	p.kill()
	cancel()
	if err := <-writing; err == nil {
		return errors.New("write until the kill: everything was written before")
	}
	return nil
}
