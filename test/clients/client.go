package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// client is one foreign client: what it needs, and how its steps are run.
type client struct {
	name  string
	tools []tool // programs that must be on the machine
	bring *fetch // what is fetched for it, nil for nothing
	run   func(context.Context, *session) error
}

// tool is a program of the machine and the Debian package that brings it.
type tool struct{ program, debian string }

var (
	toolJava   = tool{"java", "openjdk-17-jre-headless"}
	toolJavac  = tool{"javac", "openjdk-17-jdk-headless"}
	toolMaven  = tool{"mvn", "maven"}
	toolNode   = tool{"node", "nodejs"}
	toolNpm    = tool{"npm", "npm"}
	toolPython = tool{"python3", "python3"}
)

// clients lists every client that is run.
func clients() []client {
	return []client{
		{name: "kcat", tools: []tool{{"kcat", "kcat"}}, run: runKcat},
		{name: "kafkajs", tools: []tool{toolNode, toolNpm}, bring: fetchNode(), run: runNode},
		{name: "confluent-kafka", tools: []tool{toolPython}, bring: fetchPython(), run: runPython("confluent.py")},
		{name: "kafka-python", tools: []tool{toolPython}, bring: fetchPython(), run: runPython("kafkapython.py")},
		{name: "java", tools: []tool{toolJava, toolJavac, toolMaven}, bring: fetchJava(), run: runJava},
		{name: "kafka-tools", tools: []tool{toolJava, toolMaven}, bring: fetchJava(), run: runTools},
		{name: "sarama", bring: fetchGo(), run: runGo("sarama")},
		{name: "kafka-go", bring: fetchGo(), run: runGo("kafka-go")},
		{name: "franz-go", run: runFranz},
	}
}

func names() (out []string) {
	for _, c := range clients() {
		out = append(out, c.name)
	}
	return out
}

// choose takes the named clients, or all if none is named.
func choose(all []client, only []string) ([]client, error) {
	if len(only) == 0 {
		return all, nil
	}
	var out []client
	for _, name := range only {
		at := slices.IndexFunc(all, func(c client) bool { return c.name == name })
		if at < 0 {
			return nil, fmt.Errorf("read --only %q: no such client; there are %s", name, strings.Join(names(), ", "))
		}
		out = append(out, all[at])
	}
	return out, nil
}

// missing names the programs that are not here.
func (c client) missing() error {
	for _, t := range c.tools {
		if _, err := exec.LookPath(t.program); err != nil {
			return fmt.Errorf("find %q: not on this machine (Debian: %s)", t.program, t.debian)
		}
	}
	return nil
}
