package file

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ravenswood.dev/internal/component"
)

// BenchmarkSpout reads 10,000 records of about 500 bytes.
func BenchmarkSpout(b *testing.B) {
	const lines = 10_000
	text := strings.Repeat("some text that fills the line, ", 14)
	for name, line := range map[string]string{
		"a.jsonl": `{"id":"1234","amount":12.50,"nested":{"list":[1,2,3]},"text":"` + text + `"}`,
		"a.csv":   `1234,12.50,"` + text + `"`,
		"a.log":   text,
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(line+"\n", lines)), 0o644); err != nil {
				b.Fatal(err)
			}
			c := SpoutConfig{Path: name, MaxLine: 1 << 20}
			if c.format() == formatCSV {
				c.Columns, c.Numbers = []string{"id", "amount", "text"}, []string{"amount"}
			}
			b.SetBytes(int64(lines * (len(line) + 1)))
			for b.Loop() {
				sp, err := newSpout(&c, component.Env{Dir: dir, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				_ = sp.Open(b.Context(), nil)
				read := 0
				for err == nil {
					var batch component.Batch
					batch, err = sp.Next(b.Context(), 1000)
					read += len(batch.Records)
				}
				if !errors.Is(err, io.EOF) || read != lines {
					b.Fatal(read, err)
				}
				_ = sp.Close()
			}
			b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
