package apache

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

//go:embed pom.xml
var pom []byte

// fetch returns the folder with Kafka's jars, after a download if this is the first time.
func fetch(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for kafka: %w", err)
	}
	libs := filepath.Join(cache, "raven-test", "kafka-"+Version())
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	if err := Missing(); err != nil {
		return "", err
	}
	if err := download(ctx, libs); err != nil {
		return "", fmt.Errorf("download kafka %s: %w", Version(), err)
	}
	return libs, nil
}

// Version is the version of Apache Kafka that is run.
func Version() string {
	return string(regexp.MustCompile(`<kafka.version>(.+)</kafka.version>`).FindSubmatch(pom)[1])
}

// download copies the jars beside their place first, so that a half download is never taken for a whole one and two
// downloads at once do no harm.
func download(ctx context.Context, libs string) error {
	if err := os.MkdirAll(filepath.Dir(libs), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(libs), "download-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left of it is in a cache
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	jars := filepath.Join(dir, "jars")
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+jars)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run mvn: %w: %s", err, out)
	}
	if err := os.Rename(jars, libs); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}
