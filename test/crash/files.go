package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What the resource files name.
const (
	topicIn   = "in"
	topicOut  = "out"
	tableName = "results"

	groupIn     = "raven.crash"
	topicStored = "crash.stored.deliver" // on the way to the database
	groupStored = "raven.crash.stored"
)

const resources = `apiVersion: ravenswood.dev/v1alpha1
kind: Topic
metadata: {name: in}
spec: {partitions: 8}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Topic
metadata: {name: out}
spec: {partitions: 8}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: slow}
spec:
  versions: [{name: v1, url: "http://SERVICE"}]
---
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: crash}
spec:
  delivery: DELIVERY
  commitInterval: 100ms
  spouts:
    events: {topic: {name: in}}
  bolts:
    enriched: {from: events, call: {service: slow, into: answer}}
  sinks:
    out: {from: enriched, topic: {name: out}}
    stored:
      from: enriched
      sql:
        driver: sqlite
        dsn: DATABASE
        table: results
        mode: append
        create: true
        columns: {id: {field: id, type: integer}, key: key, n: {field: n, type: integer}}
`

// writeFiles writes what the workers run.
func writeFiles(dir, delivery, service, database string) error {
	text := strings.NewReplacer("DELIVERY", delivery, "SERVICE", service, "DATABASE", database).Replace(resources)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write resource files: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "crash.yaml"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write resource files: %w", err)
	}
	return nil
}
