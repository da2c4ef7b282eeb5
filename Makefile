# The verbs of this repository. Everything needs only Go, make and the Go module proxy.

GO       ?= go
KILLS    ?= 50
FUZZTIME ?= 30s
TIMEOUT  ?= 10m
BROKERS  ?= 1
SPAN     ?= 10m
BROKER   ?= raven
CONTROL  ?= 3m
TARGETS  ?= kfake apache raven
CHAOS    ?= usual
PKG      ?= ./...

# The rooms where goroutines meet, and an example for all of them together. The rest has no concurrency of its own and
# takes the race detector long.
RACE     ?= ./internal/admin ./internal/broker/... ./internal/component/... ./internal/deadletter ./internal/engine ./internal/engine/stage ./internal/engine/store ./internal/expr ./internal/kafka \
            ./internal/lifecycle ./internal/node ./internal/router ./internal/supervise ./internal/tables ./internal/telemetry ./examples/enrich

# Linters are run from the module proxy at one version, so that nothing has to be installed.
GOLANGCI := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help
.PHONY: help run test race lint bench clients crash state chaos-kafka fuzz generate kafka kafka-stop conformance

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the example: a generator, four services, a topology, results in a topic and in SQLite
	$(GO) build -o bin/raven ./cmd/raven
	@bin/raven up examples/enrich # not `go run`, which calls a Ctrl-C an error

test: ## run the tests; what needs kcat, Postgres or real data says so and is left out where they are missing
	$(GO) test -timeout $(TIMEOUT) $(PKG)
	@command -v kcat >/dev/null || echo 'left out: the tests with kcat, a foreign Kafka client (Debian: kcat)'
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo 'left out: the tests with Postgres (Debian: postgresql)'
	@test -n "$$RAVEN_DATA" || echo 'left out: the tests on real event files (set RAVEN_DATA to their folder)'

race: ## run the tests of the concurrent rooms under the race detector
	$(GO) test -race -short -timeout $(TIMEOUT) $(RACE)

lint: ## check formatting, vet, the house rules and the linters of .golangci.yml
	@bad=$$(gofmt -l api cmd examples internal test); [ -z "$$bad" ] || { printf '%s\n' "$$bad" 'not formatted: gofmt -w the files above' >&2; exit 1; }
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/lint
	$(GOLANGCI) run ./...

bench: ## measure; the last line of each is one JSON object with its ratio to a reference of the same run
	$(GO) build -o bin/raven ./cmd/raven
	bin/raven bench pass --output json
	bin/raven bench transform --output json
	bin/raven bench calls --output json
	bin/raven bench exactly-once --output json
	bin/raven bench route --output json
	bin/raven bench switch --output json
	$(GO) build -o bin/bench-kfake ./test/bench-kfake
	cd test/bench-nats && $(GO) build -o ../../bin/bench-nats .
	bin/raven bench log --kfake bin/bench-kfake --nats bin/bench-nats --gigabytes 10 --output json

crash: ## kill everything KILLS times under load, again with loss of power, then workers; count what was lost, repeated, torn
	$(GO) run ./test/crash --kills $(KILLS)

chaos-kafka: ## disturb the main job on the embedded broker and on Apache Kafka, and audit; CHAOS=full for all of it
	@report=$$(mktemp); RAVEN_REQUIRE_KAFKA=1 RAVEN_CHAOS=$(CHAOS) RAVEN_CHAOS_REPORT=$$report $(GO) test -count=1 -v -timeout 20m -parallel 3 ./test/chaos; \
		code=$$?; cat $$report; rm -f $$report; exit $$code

state: ## disturb three workers with state and their broker for SPAN, BROKER=raven or kafka, and check every record; then without each guarantee
	$(GO) run ./test/state --span $(SPAN) --broker $(BROKER) --control $(CONTROL)

clients: ## run Kafka clients of other makers against the broker; those that cannot run here are named
	$(GO) run ./test/clients

fuzz: ## fuzz every decoder of foreign bytes, each for FUZZTIME
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		for name in $$($(GO) test -list '^Fuzz' $$dir | grep '^Fuzz'); do \
			echo "fuzz $$dir $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) $$dir; \
		done; \
	done

generate: ## write docs/reference anew from the components and commands
	$(GO) run ./cmd/raven docs docs/reference

kafka: ## start Apache Kafka on this machine (Java 17, Maven); BROKERS=3 for three that replicate
	@$(GO) run ./test/kafka start --brokers $(BROKERS)

kafka-stop: ## stop what make kafka started; data and logs stay
	@$(GO) run ./test/kafka stop

conformance: ## run one list of what a broker must do on our broker, kfake and Apache Kafka; TARGETS=raven for one
	@$(GO) run ./test/kafka conformance $(TARGETS)
