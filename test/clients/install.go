package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fetch is a set of packages that are brought in by the package manager of a language. Its files pin them; their content
// names the folder they go to, so a changed pin is fetched anew and nothing has to be cleared by hand.
type fetch struct {
	name  string
	files []string // under the source folder; copied into the folder before the command runs there
	asks  []string // a command whose answer is part of the pins, nil for none
	into  func(dir, source string) *exec.Cmd
}

const fetchBound = 5 * time.Minute

func fetchNode() *fetch {
	return &fetch{name: "kafkajs", files: []string{"kafkajs/package.json", "kafkajs/package-lock.json"},
		into: func(dir, _ string) *exec.Cmd {
			return inside(dir, "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
		}}
}

// fetchPython needs pip, but no virtual environment: the packages lie in a folder that PYTHONPATH names.
func fetchPython() *fetch {
	return &fetch{name: "python", files: []string{"python/requirements.txt"},
		asks: []string{"python3", "--version"}, // a wheel is for one version
		into: func(dir, _ string) *exec.Cmd {
			return inside(dir, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
				"--only-binary", ":all:", "--target", "packages", "--requirement", "requirements.txt")
		}}
}

func fetchJava() *fetch {
	return &fetch{name: "java", files: []string{"java/pom.xml"},
		into: func(dir, _ string) *exec.Cmd {
			return inside(dir, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies",
				"-DoutputDirectory="+filepath.Join(dir, "jars"))
		}}
}

// fetchGo builds in the source folder; what it downloads is in Go's own cache.
func fetchGo() *fetch {
	return &fetch{name: "go", files: []string{"golang/go.mod", "golang/go.sum", "golang/main.go", "golang/sarama.go", "golang/kafkago.go"},
		into: func(dir, source string) *exec.Cmd {
			return inside(filepath.Join(source, "golang"), "go", "build", "-o", filepath.Join(dir, "clients"), ".")
		}}
}

func inside(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:noctx // bring bounds it
	cmd.Dir = dir
	return cmd
}

// store is the cache of what was fetched.
type store struct {
	dir    string
	source string // the folder of this program's source
}

// bring fetches f unless it is there, and returns its folder.
func (s store) bring(ctx context.Context, f *fetch) (string, error) {
	id, err := s.identity(ctx, f)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, f.name+"-"+id)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temp, err := os.MkdirTemp(s.made(), f.name+"-*.part")
	if err != nil {
		return "", fmt.Errorf("fetch %q: %w", f.name, err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // it is not there when it was renamed
	if err := s.fill(ctx, f, temp); err != nil {
		return "", err
	}
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("fetch %q: %w", f.name, err)
	}
	return dir, nil
}

// made is the folder of the cache, made if it is not there; an error shows at its first use.
func (s store) made() string {
	_ = os.MkdirAll(s.dir, 0o755)
	return s.dir
}

// identity is a short hash of the files that pin what is fetched.
func (s store) identity(ctx context.Context, f *fetch) (string, error) {
	h := sha256.New()
	for _, name := range f.files {
		data, err := os.ReadFile(filepath.Join(s.source, name))
		if err != nil {
			return "", fmt.Errorf("fetch %q: %w", f.name, err)
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
	}
	if len(f.asks) > 0 {
		answer, err := command(ctx, inside(s.source, f.asks[0], f.asks[1:]...))
		if err != nil {
			return "", fmt.Errorf("fetch %q: ask %s: %w", f.name, f.asks[0], err)
		}
		fmt.Fprint(h, answer)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

func (s store) fill(ctx context.Context, f *fetch, dir string) error {
	for _, name := range f.files {
		if err := copyFile(filepath.Join(dir, filepath.Base(name)), filepath.Join(s.source, name)); err != nil {
			return fmt.Errorf("fetch %q: %w", f.name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchBound)
	defer cancel()
	out, err := command(ctx, f.into(dir, s.source))
	if err != nil {
		return fmt.Errorf("fetch %q: %w: %s", f.name, err, lastLine(out))
	}
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// command runs cmd until it ends or ctx does, and returns everything it printed.
func command(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Dir, bounded.Env, bounded.Stdin, bounded.Err = cmd.Dir, cmd.Env, cmd.Stdin, cmd.Err
	bounded.Stdout, bounded.Stderr = &out, &out
	bounded.WaitDelay = time.Second
	err := bounded.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("gave up waiting: %w", ctx.Err())
	}
	return out.String(), err
}

// lastLine is what a program most likely wants to say about its failure.
func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return clip(strings.TrimSpace(lines[len(lines)-1]))
}

// prepared is a client that may run, or why it may not.
type prepared struct {
	client
	dir    string // what was fetched
	source string
	err    error
}

// prepare fetches what the clients need, one after the other: clients of one language share it.
func prepare(ctx context.Context, chosen []client, s store, log io.Writer) []prepared {
	out := make([]prepared, len(chosen))
	for i, c := range chosen {
		p := prepared{client: c, source: s.source, err: c.missing()}
		if p.err == nil && c.bring != nil {
			p.dir, p.err = s.bring(ctx, c.bring)
		}
		if p.err != nil {
			fmt.Fprintf(log, "left out: %s: %v\n", c.name, p.err)
		}
		out[i] = p
	}
	return out
}

// installed reports whether everything that is required is here.
func installed(all []prepared, required bool) bool {
	for _, p := range all {
		if p.err != nil && required {
			return false
		}
	}
	return true
}
