# kuma-prometheus-sd: what a person types. `make help` lists the targets.

CARGO ?= cargo
export CARGO

# CMake 4 refuses the minimum version that gRPC's CMakeLists.txt of 2023 states; older CMakes don't read this.
export CMAKE_POLICY_VERSION_MINIMUM ?= 3.5

# gRPC's C++ takes minutes to compile, once for each profile and each set of features. So whatever
# builds here says `--workspace` and leaves the profile alone: then all of it shares one such build.
CARGO_FLAGS = --workspace --locked

# The static binary is for this machine unless told otherwise.
TARGET ?= $(shell uname -m)-unknown-linux-musl
export TARGET

# Cargo is what runs in parallel; two package managers at once wait for each other at best.
.NOTPARALLEL:
.PHONY: build help test run e2e rules simulate soak real-kuma faults-with-listener generate screenshots lint \
	without-grpc minimum-rust fuzz \
	static test-static bench micro-bench instructions install uninstall dist deb rpm clean prerequisites

build: prerequisites ## build the daemon and the demo control plane (the default)
	$(CARGO) build $(CARGO_FLAGS) --bins --examples

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

# Most tests wait for something most of the time, so there may be more of them than processors.
test: prerequisites ## install what is missing, build, run all tests
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-8} scripts/test.sh --tests --examples

run: build ## show the daemon at work with a demo control plane, until Ctrl-C or for DEMO_SECONDS=N
	@scripts/demo.sh

e2e: prerequisites-e2e build ## let a real Prometheus follow the daemon's file (installs what is missing)
	@tests/e2e/run.sh

rules: prerequisites-e2e ## check and test the alerting rules in docs/ (installs what is missing)
	@tests/rules/run.sh

simulate: prerequisites ## drive the two state machines through SEEDS=N stories of simulated hours
	SIMULATION_SEEDS=$(or $(SEEDS),5000) $(CARGO) test $(CARGO_FLAGS) --test simulation every_story -- --nocapture

soak: prerequisites ## put the daemon through random faults for MINUTES=N (1 by default)
	SOAK_MINUTES=$(or $(MINUTES),1) $(CARGO) test $(CARGO_FLAGS) --test integration soak:: -- --ignored --nocapture

# Not the fleet: so many daemons on one machine, each with a client, show how busy the machine is.
faults-with-listener: prerequisites ## run the tests of faults while a client asks each daemon's listener all the time
	HAMMERED_LISTENER=yes RUST_TEST_THREADS=$${RUST_TEST_THREADS:-8} \
	$(CARGO) test $(CARGO_FLAGS) --test integration faults:: -- --skip faults::fleet

# One control plane at a time; the table that it prints is what came of each try.
real-kuma: prerequisites ## run against real control planes: each kuma-cp-VERSION in KUMA_CP_DIR=FOLDER
	@test -n "$(KUMA_CP_DIR)" || { echo "KUMA_CP_DIR names no folder; see CONTRIBUTING.md" >&2; exit 2; }
	KUMA_CP_DIR="$(abspath $(KUMA_CP_DIR))" \
	$(CARGO) test $(CARGO_FLAGS) --test integration real_kuma:: -- --nocapture --test-threads=1

generate: prerequisites ## renew what is made from the table of flags (man page, completions, …) and the notices
	RENEW_GENERATED_FILES=yes $(CARGO) test $(CARGO_FLAGS) --test integration repository::generated

# The pictures have few colours, so a palette makes them a third.
screenshots: prerequisites prerequisites-browser prerequisites-screenshots ## renew the pictures of the status page in docs/
	RENEW_SCREENSHOTS=yes REQUIRE_ALL_TESTS=yes $(CARGO) test $(CARGO_FLAGS) --test integration page::look
	pngquant --force --ext .png 64 docs/page-light.png docs/page-dark.png

lint: prerequisites-lint ## check formatting, and clippy with warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) fmt --all --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- -D warnings

# All other targets build with gRPC and with the Rust that is in use.
without-grpc: prerequisites-lint ## check the daemon without gRPC: clippy, and the HTTP contract
	@scripts/without-grpc.sh

minimum-rust: prerequisites-minimum-rust ## check the daemon with the oldest Rust that it promises
	@scripts/check-minimum-rust.sh

fuzz: prerequisites-fuzz ## fuzz the way from the wire to the file, each target for SECONDS=N (60 by default)
	@FUZZ_SECONDS=$(or $(SECONDS),60) scripts/fuzz.sh

static: prerequisites-static ## build the static binary that is shipped, for TARGET=x86_64-unknown-linux-musl or another
	@scripts/static-build.sh $(TARGET)

# What its DNS is, and how it ends, matters more where another libc does it.
test-static: static ## hold the static binary to its promises, and to what the daemon's tests show
	KUMA_PROMETHEUS_SD_BINARY="$$(scripts/static-build.sh --path $(TARGET))" \
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-8} \
	scripts/test.sh --test integration -- --skip unit:: --skip repository:: --skip real_kuma::

# SIZES=1000 is for trying: its results stay below the target folder. The whole bench is what is checked in.
bench: static ## measure the static binary against its goals: time, processor time, memory; SIZES=N,N for some sizes only
	scripts/bench.sh $(TARGET) $(SIZES)

micro-bench: prerequisites ## time decode and compare one by one
	$(CARGO) bench --locked --package kuma-bench --no-default-features --bench stages

instructions: prerequisites-static prerequisites-instructions ## hold decode and compare to their instruction counts; RENEW=yes takes today's
	@scripts/instructions.sh $(if $(RENEW),--renew) $(TARGET)

# Nothing of this builds: what `make static` has built is installed by root, who should compile nothing.
install: ## install the static binary and its services, for DESTDIR, prefix, sysconfdir and the like
	@BINARY="$${BINARY:-$$(scripts/static-build.sh --path $(TARGET))}" packaging/install.sh install

uninstall: ## remove what `make install` has installed; changed settings and the list stay
	@packaging/install.sh uninstall

dist: ## pack the static binary into a tarball that installs itself, with checksums
	@scripts/dist.sh tarball $(TARGET)

deb: prerequisites-deb ## pack the static binary for Debian and its relatives
	@scripts/dist.sh deb $(TARGET)

rpm: prerequisites-rpm ## pack the static binary for Fedora, openSUSE and their relatives
	@scripts/dist.sh rpm $(TARGET)

clean: ## remove what was built, gRPC's C++ included
	$(CARGO) clean

prerequisites:
	@scripts/prerequisites.sh build

prerequisites-%:
	@scripts/prerequisites.sh $*
