# make run     build and serve on the embedded database
# make test    every test
# The rest: see the comments above each target.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
BIN := bin/tidemark
TOOL := go tool -modfile=internal/tools/go.mod

.PHONY: build run tools collector-sources test test-client race lint check-rules lint-rules generate check-generated fuzz vuln test-faults test-parity bench clean compiler

# Without -trimpath, as are the tools below: with it, Go compiles everything a second time for the
# tests. What is shipped has it (deploy/Dockerfile).
build: compiler
	go build -o $(BIN) ./cmd/tidemark

# The embedded database comes as a C++ library; linking it takes a C++ compiler.
compiler:
	@command -v go >/dev/null || { echo "Go is missing: https://go.dev/dl"; exit 1; }
	@command -v "$$(go env CXX)" >/dev/null || { echo "A C++ compiler is missing. Debian, Ubuntu: apt-get install g++. Fedora: dnf install gcc-c++. macOS: xcode-select --install"; exit 1; }

# The pinned programs that tests run beside the service. Built once, and again when a version
# changes: Prometheus takes some minutes the first time.
TOOLS := bin/tools
tools: $(TOOLS)/promtool $(TOOLS)/prometheus $(TOOLS)/pint $(TOOLS)/otelcol

$(TOOLS)/promtool $(TOOLS)/prometheus: internal/tools/prometheus/go.mod
	go build -C internal/tools/prometheus -tags remove_all_sd -ldflags '-s -w' -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/$(@F)

$(TOOLS)/pint: internal/tools/pint/go.mod
	go build -C internal/tools/pint -ldflags '-s -w' -o $(CURDIR)/$@ github.com/cloudflare/pint/cmd/pint

$(TOOLS)/otelcol: internal/tools/collector/go.mod internal/tools/collector/components.go
	go build -C internal/tools/collector -tags remove_all_sd -ldflags '-s -w' -o $(CURDIR)/$@ .

# The collector's sources, after a change of internal/tools/collector/builder.yaml.
collector-sources:
	cd internal/tools/collector && go run go.opentelemetry.io/collector/cmd/builder@v0.162.0 --config builder.yaml --skip-compilation
	gofmt -w internal/tools/collector

run: build
	$(BIN) serve

# The client and the examples are modules of their own. Their tests run the program that is built.
MODULES := client examples
IN_MODULES = @export TIDEMARK_TEST_PROGRAM=$(CURDIR)/$(BIN); for m in $(MODULES); do echo "in $$m"; (cd $$m && $(1)); done

# The tests that take longest begin first, so that nothing is left to wait for in the end. They are
# not vetted on the way: lint does it with all of vet's checks. The stories of internal/faults mostly
# wait, so that internal/store has its processor. No result of before counts (-count=1): what builds the
# program by itself and runs it would not be run again when the program changes.
LONGEST := ./internal/store ./internal/faults
test: build
	go test -vet=off -count=1 $(LONGEST) ./...
	$(call IN_MODULES,go test -vet=off -count=1 ./...)

test-client: build
	$(call IN_MODULES,go test -vet=off -count=1 ./...)

# The race detector sees what runs in the process of a test. What is not raced are packages whose
# tests read files or run other programs, and those where nothing goes on at once; -short leaves out
# the rest of what it gains nothing from.
NOT_RACED := /(alerts|cmd/tidemark|dashboards(/generate)?|deploy|internal/(alertstory|collectortest|faults|tooltest|declared|event|outbound|projection|question|rollup))$$
race:
	go test -vet=off -race -short -timeout 20m ./internal/store $$(go list ./... | grep -vE '$(NOT_RACED)')
	cd client && go test -vet=off -race -short -timeout 20m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	$(call IN_MODULES,go vet ./... && go tool -modfile=../internal/tools/go.mod staticcheck ./...)

# The alert rules: syntax and lint by the real promtool, pint, then the rules' own tests, which are
# among those of make test as well.
RULES := $(wildcard alerts/*.rules.yaml)
check-rules: lint-rules
	$(TOOLS)/promtool test rules $(wildcard alerts/tests/*.test.yaml)

lint-rules: $(TOOLS)/promtool $(TOOLS)/pint
	$(TOOLS)/promtool check rules --lint=all --lint-fatal $(RULES)
	$(TOOLS)/pint --offline --log-level=error lint --min-severity=info --fail-on=info alerts

# What is generated: the OpenAPI document, the catalogue of metrics and the dashboards.
generate:
	go generate ./...

check-generated: generate
	git diff --exit-code -- '*.json' '*.md'

# A short pass of every fuzz target. Only our own packages are instrumented, so that the input is
# guided by our code and the libraries need not be compiled again; "go test -fuzz" instruments all.
# Where its time is up while it looks away, Go's fuzzer says "context deadline exceeded" and fails.
FUZZTIME ?= 10s
fuzz: compiler
	@bin=$$(mktemp -d); trap 'rm -rf "$$bin"' EXIT; \
	for module in . $(MODULES); do ( \
	  cd $$module; \
	  targets=$$(grep -roE --include='*_test.go' $(MODULES:%=--exclude-dir=%) '^func Fuzz[A-Za-z0-9]+' . || true); \
	  [[ -n $$targets ]] || exit 0; \
	  mkdir -p "$$bin/$$module"; \
	  go test -c -vet=off -gcflags='./...=-d=libfuzzer' -ldflags='-s -w' -o "$$bin/$$module/" $$(sed 's,/[^/]*$$,,' <<<"$$targets" | sort -u); \
	  while IFS=: read -r file func; do \
	    dir=$$(cd "$$(dirname "$$file")" && pwd); f=$${func#func }; echo "fuzz $$module $$(dirname "$$file") $$f"; \
	    out=$$(cd "$$dir" && "$$bin/$$module/$$(basename "$$dir").test" -test.run '^$$' -test.fuzz "^$$f\$$" \
	      -test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$(go env GOCACHE)/fuzz/own/$$module/$$(dirname "$$file")" 2>&1) && ok=yes || ok=no; \
	    echo "$$out"; \
	    if [[ $$ok = no ]]; then \
	      grep -q 'context deadline exceeded' <<<"$$out" && ! grep -q 'Failing input' <<<"$$out" || exit 1; \
	      echo "the fuzzer took the end of its time for a failure"; \
	    fi; \
	  done <<<"$$targets"; \
	); done

# Reports vulnerabilities in what the program calls; needs the vulnerability database.
vuln:
	$(TOOL) govulncheck ./...
	$(call IN_MODULES,go tool -modfile=../internal/tools/go.mod govulncheck ./...)

# The same rules and samples in a real Prometheus and in the service: every sample and every
# notification must be equal. Takes a minute.
test-parity: $(TOOLS)/prometheus
	CI=true go test -count=1 ./internal/alert -run '^TestParity$$' -v

# kill -9, full disks, dead databases, at full length.
test-faults: build
	go test -count=1 -timeout 60m ./internal/faults -faults=long -v

# Figures beside the machine's raw limits; run it on a quiet machine.
bench: build $(TOOLS)/prometheus
	go run ./cmd/tidemark-bench -tidemark $(BIN) -json bin/bench.json
	cat bin/bench.json
	go test -run '^$$' -bench 'Middleware|Scrape' -benchtime 2s ./internal/httpapi ./internal/telemetry
	cd client && go test -run '^$$' -bench . -benchtime 1000000x .

clean:
	rm -rf bin
