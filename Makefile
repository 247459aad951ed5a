# The everyday tasks of this package. `make help` lists them.
#
# A new machine needs Swift and make. Every target that builds first installs what else is missing.
#
# Builds with different flags have scratch folders of their own (.build, .build-release, .build-static, .build-tsan,
# .build-asan, .build-coverage), so that they do not rebuild each other's work. In the targets that run all tests,
# FILTER=name runs only the tests whose names match.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-release coverage strict tsan asan interop fuzz-smoke fuzz differential soak census \
        bench bench-quick bench-smoke instructions readme neighbour cross lint format clean

SOURCES := Package.swift $(wildcard Sources Tests Benchmarks)
# Sanitizers slow everything down by an order of magnitude. Tests that check times multiply their slack by this.
SLOW := SIDECAR_TEST_SLACK=10
# All tests use Swift Testing: without XCTest there is one runner and one summary line.
# Tests that only compute run separately. They share the few threads of the cooperative thread pool with the tests that
# wait, and under a sanitizer they would hold them for a minute.
COMPUTING := SidecarProtocolTests|SidecarFuzzTests|SidecarDifferentialTests
HALVES := $(if $(FILTER),'--filter=$(FILTER)','--filter=$(COMPUTING)' '--skip=$(COMPUTING)')
ONLY := $(if $(FILTER),--filter=$(FILTER))
# Only a few tests run at the same time: hundreds would keep the few threads of the cooperative thread pool busy for
# half a minute.
WIDTH := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8
TEST := $(WIDTH) swift test --disable-xctest --parallel

RELEASE := -c release --scratch-path .build-release -Xswiftc -enable-testing
# The benchmark links Swift's libraries statically, as server programs do. So does SwiftNIO's row.
STATIC := -c release --static-swift-stdlib --scratch-path .build-static --product sidecar-bench
TSAN := --sanitize=thread --scratch-path .build-tsan -Xswiftc -warnings-as-errors -Xcc -Werror
# lld, because the default linker warns about a hundred symbols of AddressSanitizer's.
ASAN := --sanitize=address --scratch-path .build-asan -Xswiftc -use-ld=lld

help: ## Show this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: a C compiler, pkg-config, OpenSSL and zlib headers, Python's venv
	@.ci/setup

demo: setup ## Show what the package does
	swift run -c release sidecar demo

test: setup ## Run all tests
	$(TEST) $(ONLY)

test-release: setup ## Run all tests, optimised
	swift build --build-tests $(RELEASE)
	$(TEST) $(ONLY) --skip-build $(RELEASE)

coverage: setup ## Check that the protocol's own tests reach every line of it
	@.ci/coverage

# Uses the build for ThreadSanitizer, which is needed anyway and compiles everything.
strict: setup ## Compile everything with warnings as errors
	swift build --build-tests $(TSAN)

tsan: strict ## Run all tests under ThreadSanitizer; a thread that is not joined is an error
	for half in $(HALVES); do \
	  $(SLOW) TSAN_OPTIONS="$${TSAN_OPTIONS:-} report_thread_leaks=1 suppressions=$(CURDIR)/Tests/ThreadSanitizer.supp" \
	    $(TEST) "$$half" --skip-build $(TSAN); \
	done

# The command ends with exit(), so LeakSanitizer would report what only the frames of its threads refer to. A soak would
# report as growth what AddressSanitizer keeps of freed memory.
asan: setup ## Run all tests under AddressSanitizer and LeakSanitizer
	swift build --build-tests $(ASAN)
	for half in $(HALVES); do \
	  $(SLOW) ASAN_OPTIONS="$${ASAN_OPTIONS:-} detect_leaks=1" \
	    $(TEST) "$$half" --skip=SidecarCLITests --skip-build $(ASAN); \
	done
	$(SLOW) ASAN_OPTIONS="$${ASAN_OPTIONS:-} detect_leaks=0" \
	  $(TEST) --filter=SidecarCLITests --skip=SoakTests --skip-build $(ASAN)

interop: setup ## Run the tests against a real server, three times
	swift build --build-tests
	for round in 1 2 3; do swift test --disable-xctest --skip-build --filter SidecarInteropTests ; done

fuzz-smoke: setup ## Fuzz every target for 5 seconds, in debug and then in release
	Tests/Fuzz/run.sh all --seconds 5
	Tests/Fuzz/run.sh all --seconds 5 --release

fuzz: setup ## Fuzz every target for 10 minutes, optimised
	nice -n 19 Tests/Fuzz/run.sh all --seconds 600 --release

differential: setup ## Compare with independent parsers for 10 minutes, from a random seed
	DIFFERENTIAL_SECONDS=600 DIFFERENTIAL_SEED=0 swift test --disable-xctest --filter SidecarDifferentialTests

soak: setup ## Create and end 3,000 sidecars in one process, with random faults, and check for leaks
	swift build -c release --product sidecar
	.build/release/sidecar soak --cycles 3000

census: setup ## Create, use and end 10,000 sidecars in one process; threads, descriptors and memory must not grow
	swift build $(STATIC)
	make -C Benchmarks/Servers
	Benchmarks/with-server .build-static/release/sidecar-bench census --count 10000

bench: setup ## Measure Sidecar and every other client that is available: about 15 minutes on an idle machine
	Benchmarks/Peers/setup.sh
	swift build $(STATIC)
	Benchmarks/run.py

bench-quick: setup ## A shorter bench: about 2 minutes after the set-up
	Benchmarks/Peers/setup.sh
	swift build $(STATIC)
	Benchmarks/run.py --quick

bench-smoke: setup ## Check that the benchmark's server and Sidecar's own rows work
	make -C Benchmarks/Servers check
	Benchmarks/Peers/setup.sh raw-c
	swift build $(STATIC)
	Benchmarks/run.py --peers sidecar,raw --rounds 1 --further 1 --seconds 0.1

instructions: setup ## Count the instructions per message, and compare them with their limits
	command -v valgrind >/dev/null || .ci/setup valgrind
	swift build $(STATIC)
	make -C Benchmarks/Servers
	Benchmarks/instructions.py

readme: setup ## Compile the Swift code in README.md as a package that depends on this one, and run its commands
	.ci/check-readme

neighbour: setup ## Build and run an application that uses Sidecar, swift-nio and other packages: 5 minutes at first
	.ci/check-neighbour

cross: ## Compile the C targets for aarch64, musl and macOS
	.ci/check-cross

lint: ## Check the sources against the formatter and its rules
	swift format lint --strict --parallel --recursive $(SOURCES)

format: ## Format the sources in place
	swift format --in-place --parallel --recursive $(SOURCES)

clean: ## Remove everything that was built
	rm -rf .build .build-*
