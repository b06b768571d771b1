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

.PHONY: all build deps lint test unit lab test-vm bench soak crash run demo stage generate clean

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

# Everything: linters, unit tests under the race detector, the lab, the machine.
test: deps lint unit lab test-vm

unit: deps
	$(GOTESTSUM) --format pkgname --format-hide-empty-pkg -- -race -timeout 10m $$($(GO) list ./... | grep -v /integration)

lab: deps stage
	MODEWATCH_LAB=require $(GOTESTSUM) --format testname --jsonfile out/lab.json -- -p 1 -timeout 25m $$($(GO) list ./integration/... | grep -v /integration/vm)
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

# Random trials of the engine on a host in memory, for as long as SOAK says; then,
# for root, the crashes of a real one.
SOAK ?= 1h
soak:
	$(GO) test ./internal/soak -v -count=1 -timeout 0 -run '^TestTrials$$' -args -for $(SOAK)
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) crash; else echo "SKIP-REASON: make crash needs root"; fi

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
