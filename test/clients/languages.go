package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The programs in other languages report their steps themselves; see session.foreign.

func runNode(ctx context.Context, s *session) error {
	cmd := inside(s.dir, "node", filepath.Join(s.source, "kafkajs", "steps.js"))
	cmd.Env = []string{"NODE_PATH=" + filepath.Join(s.dir, "node_modules")}
	return s.foreign(ctx, cmd)
}

func runPython(script string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		cmd := inside(s.dir, "python3", "-u", filepath.Join(s.source, "python", script))
		cmd.Env = []string{"PYTHONPATH=" + filepath.Join(s.dir, "packages"), "PYTHONDONTWRITEBYTECODE=1"}
		return s.foreign(ctx, cmd)
	}
}

// runJava compiles anew each time: that takes two seconds and cannot be stale.
func runJava(ctx context.Context, s *session) error {
	classes, err := os.MkdirTemp("", "raven-clients-java-*")
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	defer func() { _ = os.RemoveAll(classes) }()
	sources, err := filepath.Glob(filepath.Join(s.source, "java", "*.java"))
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	jars := filepath.Join(s.dir, "jars", "*")
	args := append([]string{"-J-XX:TieredStopAtLevel=1", "-nowarn", "-cp", jars, "-d", classes}, sources...)
	if out, err := command(ctx, inside(s.dir, "javac", args...)); err != nil {
		return fmt.Errorf("compile: %w: %s", err, clip(oneLine(out)))
	}
	return s.foreign(ctx, java(s.dir, classes+":"+jars, "Steps"))
}

// java starts a class quickly rather than making it fast, with the log of the client on stderr.
func java(dir, classpath, class string, args ...string) *exec.Cmd {
	quick := []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, class}
	return inside(dir, "java", append(quick, args...)...)
}

func runGo(name string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		return s.foreign(ctx, inside(s.dir, filepath.Join(s.dir, "clients"), name))
	}
}
