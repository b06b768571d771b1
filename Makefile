# modewatch: build, test, try. Every target works from a fresh clone; those that
# need Debian packages install what is lacking (as root, or by sudo).
SHELL   := /bin/bash
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Where libexec is, seen from where the program is installed (dist/install.mk).
LIBEXEC  = $(shell realpath -m --relative-to=$(BINDIR) $(LIBEXECDIR))
# The one part that is of C; "make GPU_PROBE=" neither builds nor installs it.
GPU_PROBE ?= bin/modewatch-gpu
export CGO_CFLAGS ?= -O2 -Wno-deprecated-declarations
STAGE   := out/stage
# gotestsum runs go test, shows what failed, and lists what was skipped and why.
GOTESTSUM := $(GO) tool gotestsum

.PHONY: all build deps lint test unit lab test-vm skips cover fuzz explore mutants bench soak crash assurance run demo stage generate clean

all: build

build: bin/modewatch $(GPU_PROBE)

bin/modewatch: $(shell find cmd fsm guards internal sources sinks -name '*.go') go.mod go.sum
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS) -X main.libexec=$(LIBEXEC)' -o $@ ./cmd/modewatch

# It looks functions of NVML up when they are called (lazy), for no library has
# them all.
bin/modewatch-gpu: $(wildcard cmd/modewatch-gpu/*.go sources/gpu/report/*.go) go.mod go.sum
	@command -v gcc >/dev/null || integration/deps.sh
	CGO_ENABLED=1 $(GO) build -trimpath \
		-ldflags '$(LDFLAGS) -extldflags=-Wl,-z,lazy' -o $@ ./cmd/modewatch-gpu

deps:
	@integration/deps.sh

lint: deps
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Everything: linters, unit tests under the race detector, a little fuzzing, the lab,
# the machine; then what was skipped in all of them, and what they covered.
test: deps lint unit
	@$(MAKE) --no-print-directory explore DEPTH=1 POLICIES=1
	@$(MAKE) --no-print-directory mutants MUTANTS="-sample 8 -seed $(VERSION)"
	@$(MAKE) --no-print-directory fuzz FUZZ=1s
	@$(MAKE) --no-print-directory lab test-vm skips cover

unit: deps
	@mkdir -p out/cover
	$(GOTESTSUM) --format pkgname --format-hide-empty-pkg --jsonfile out/unit.json -- -race -timeout 10m \
		-coverprofile=out/cover/unit.cover -coverpkg=./... $$($(GO) list ./... | grep -v /integration)

# Run it after unit, lab and test-vm: a skipped test must be in integration/skips.txt.
skips:
	@$(GO) run ./integration/cmd/skips integration/skips.txt out/unit.json out/lab.json out/vm.json

# Run it after unit and lab: enough of the program must be tested.
cover:
	@$(GO) run ./integration/cmd/cover -report out/assurance/coverage.json out/cover/unit.cover $(sort $(wildcard out/cover/inside-*.cover))

# All fuzz targets, each for as long as FUZZ says.
FUZZ ?= 2m
fuzz:
	@$(GO) run ./integration/cmd/fuzz -for $(FUZZ) -report out/assurance/fuzz.json

lab: deps stage
	@rm -f out/cover/inside-*
	MODEWATCH_LAB=require MODEWATCH_VERSION=$(VERSION) MODEWATCH_COVER=$(CURDIR)/out/cover $(GOTESTSUM) --format testname --jsonfile out/lab.json -- -p 1 -count=1 -timeout 25m $$($(GO) list ./integration/... | grep -v /integration/vm)
	@grep -oh 'figure: [^"\\]*' out/lab.json || true

# What needs a kernel with devices, in an emulated machine.
test-vm: deps stage
	MODEWATCH_LAB=require $(GOTESTSUM) --format testname --jsonfile out/vm.json -- -p 1 -count=1 -timeout 20m ./integration/vm/...
	@grep -oh 'figure: [^"\\]*' out/vm.json || true

stage: build
	@rm -rf $(STAGE)
	@$(MAKE) --no-print-directory -s install DESTDIR=$(CURDIR)/$(STAGE)

bench: deps stage
	$(GO) test -count=1 -timeout 40m -run '^TestFigures$$' -v ./integration/bench -args -full

REPORTS := $(CURDIR)/out/assurance

# Random trials of the engine on a host in memory, for as long as SOAK says; then,
# for root, the crashes of a real one.
SOAK ?= 1h
soak:
	$(GO) test ./internal/soak -v -count=1 -timeout 0 -run '^TestTrials$$' -args -for $(SOAK) -report $(REPORTS)/random.json
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) crash; else echo "SKIP-REASON: make crash needs root"; fi

# Every wish from every host at rest, and all that can go wrong at each step: breadth
# first, to the depth of so many wishes, under so many of the eight policies.
DEPTH    ?= 2
POLICIES ?= 4
explore:
	$(GO) test ./internal/soak -v -count=1 -timeout 0 -run '^TestExplored$$' \
		-args -depth $(DEPTH) -policies $(POLICIES) -report $(REPORTS)/explored.json

# Would a test notice if the program became unsafe? All ways that were thought of; with
# MUTANTS="-every 4" a quarter of a tool's changes too, some of which still live.
MUTANTS ?=
mutants:
	$(GO) run ./integration/cmd/mutants $(MUTANTS) -report $(REPORTS)/mutants.json

# docs/assurance.md, anew, by all of it: an hour and a half.
assurance:
	@rm -rf out/assurance
	$(MAKE) unit explore fuzz lab cover
	$(MAKE) mutants MUTANTS="-every 4"
	$(MAKE) soak SOAK=10m
	$(GO) run ./integration/cmd/assurance

# Every event at every step of every plan, on real systemd, and two crashes of a
# whole machine.
crash: deps stage
	MODEWATCH_LAB=require $(GO) test ./integration -v -count=1 -parallel 3 -timeout 0 -run '^TestCrash$$' \
		-args -whole -report $(CURDIR)/out/assurance/crash-lab.json
	MODEWATCH_LAB=require $(GO) test ./integration/vm/debian -v -count=1 -timeout 20m -run '^TestACrashInMidAttempt$$' \
		-args -report $(CURDIR)/out/assurance/crash-vm.json

# Boot the lab, move the host from desktop to compute and show it live.
run: deps stage
	$(GO) run ./integration/cmd/labctl demo --install $(STAGE) --standins --sway alice \
		--file /etc/modewatch/config.toml=integration/demo/config.toml \
		--file /etc/modewatch/vllm/compute.env=integration/demo/compute.env \
		--file /usr/local/bin/vllm-program=integration/demo/vllm-program \
		--file /etc/systemd/system/k3s.service=integration/demo/k3s.service \
		--enable modewatch.service --enable k3s.service --enable ssh.service \
		$(if $(ONESHOT),--oneshot) integration/demo/demo.sh

# The same decisions on a host in memory; needs no privilege.
demo: build
	bin/modewatch demo

# Rewrite everything that is generated: diagram and golden files.
generate:
	$(GO) test ./... -run Golden -update

clean:
	rm -rf bin out

include dist/install.mk
