# What is done with this package day by day. `make help` lists it.
#
# A fresh machine needs Swift and make; whatever else is missing, every target that builds installs first.
#
# Each kind of build has a scratch folder of its own (.build, .build-release, .build-static, .build-tsan, .build-asan,
# .build-coverage): they differ in their flags, and would otherwise throw each other's work away. FILTER=name runs only
# tests whose name matches, for the targets that run all of them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-release coverage strict tsan asan interop fuzz-smoke fuzz differential soak census bench \
        bench-quick bench-smoke instructions readme lint format clean

SOURCES := Package.swift $(wildcard Sources Tests Benchmarks)
# The sanitizers make everything slower by an order of magnitude. Tests that hold the code to a time allow for it.
SLOW := SIDECAR_TEST_SLACK=10
# All tests are Swift Testing's: without XCTest there is one runner, and one closing line.
# Those that only compute are run before those that wait for one another: both share the concurrency pool's few threads,
# and with a sanitizer the former hold them for a minute.
COMPUTING := SidecarProtocolTests|SidecarFuzzTests|SidecarDifferentialTests
HALVES := $(if $(FILTER),'--filter=$(FILTER)','--filter=$(COMPUTING)' '--skip=$(COMPUTING)')
ONLY := $(if $(FILTER),--filter=$(FILTER))
TEST := swift test --disable-xctest --parallel

RELEASE := -c release --scratch-path .build-release -Xswiftc -enable-testing
# What is measured is linked as programs for servers are: with Swift's libraries in it, not beside it. So is SwiftNIO's row.
STATIC := -c release --static-swift-stdlib --scratch-path .build-static --product sidecar-bench
TSAN := --sanitize=thread --scratch-path .build-tsan -Xswiftc -warnings-as-errors -Xcc -Werror
# The default linker warns about a hundred symbols of AddressSanitizer's.
ASAN := --sanitize=address --scratch-path .build-asan -Xswiftc -use-ld=lld

help: ## Show this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing beside Swift: pkg-config, OpenSSL and zlib headers, Python's venv
	@.ci/setup

demo: setup ## Show what the package does
	swift run -c release sidecar demo

test: setup ## Run all tests
	$(TEST) $(ONLY)

test-release: setup ## Run all tests, optimised
	swift build --build-tests $(RELEASE)
	$(TEST) $(ONLY) --skip-build $(RELEASE)

coverage: setup ## See that the protocol's own tests reach every line of it
	@.ci/coverage

# The build for ThreadSanitizer is needed anyway, and compiles everything: a build of its own would find nothing more.
strict: setup ## Compile everything with warnings as errors
	swift build --build-tests $(TSAN)

tsan: strict ## Run all tests under ThreadSanitizer; a thread that is not joined counts as an error
	for half in $(HALVES); do \
	  $(SLOW) TSAN_OPTIONS="$${TSAN_OPTIONS:-} report_thread_leaks=1 suppressions=$(CURDIR)/Tests/ThreadSanitizer.supp" \
	    $(TEST) "$$half" --skip-build $(TSAN); \
	done

# The command ends by exit(), which leaves its main task's frame, and what only that holds: LeakSanitizer takes it
# for lost. And what it keeps of freed memory is no drift that a soak should see.
asan: setup ## Run all tests under AddressSanitizer and LeakSanitizer
	swift build --build-tests $(ASAN)
	for half in $(HALVES); do \
	  $(SLOW) ASAN_OPTIONS="$${ASAN_OPTIONS:-} detect_leaks=1" $(TEST) "$$half" --skip=SidecarCLITests --skip-build $(ASAN); \
	done
	$(SLOW) ASAN_OPTIONS="$${ASAN_OPTIONS:-} detect_leaks=0" $(TEST) --filter=SidecarCLITests --skip=SoakTests --skip-build $(ASAN)

interop: setup ## Run the tests against a real server, three times over
	swift build --build-tests
	for round in 1 2 3; do swift test --disable-xctest --skip-build --filter SidecarInteropTests ; done

fuzz-smoke: setup ## Fuzz every target for 5 seconds, in debug and then in release
	Tests/Fuzz/run.sh all --seconds 5
	Tests/Fuzz/run.sh all --seconds 5 --release

fuzz: setup ## Fuzz every target for 10 minutes, optimised
	nice -n 19 Tests/Fuzz/run.sh all --seconds 600 --release

differential: setup ## Compare with independent parsers for 10 minutes, from a random seed
	DIFFERENTIAL_SECONDS=600 DIFFERENTIAL_SEED=0 swift test --disable-xctest --filter SidecarDifferentialTests

soak: setup ## Make and end 3,000 sidecars in one process, amid random faults; what leaks shows
	swift build -c release --product sidecar
	.build/release/sidecar soak --cycles 3000

census: setup ## Make, use and end 10,000 sidecars in one process: threads, descriptors and memory stay where they are
	swift build $(STATIC)
	make -C Benchmarks/Servers
	Benchmarks/with-server .build-static/release/sidecar-bench census --count 10000

bench: setup ## Measure Sidecar beside every other client that can be had: about 15 minutes on an idle machine
	Benchmarks/Peers/setup.sh
	swift build $(STATIC)
	Benchmarks/run.py

bench-quick: setup ## The same with less of everything: about 2 minutes, behind the set-up
	Benchmarks/Peers/setup.sh
	swift build $(STATIC)
	Benchmarks/run.py --quick

bench-smoke: setup ## See that the benchmarks' server and Sidecar's own rows work
	make -C Benchmarks/Servers check
	Benchmarks/Peers/setup.sh raw-c
	swift build $(STATIC)
	Benchmarks/run.py --peers sidecar,raw --rounds 1 --further 1 --seconds 0.1

instructions: setup ## Count the instructions that a message costs, and compare them with what they may be
	command -v valgrind >/dev/null || .ci/setup valgrind
	swift build $(STATIC)
	make -C Benchmarks/Servers
	Benchmarks/instructions.py

readme: setup ## Compile the Swift code in README.md as a package that depends on this one, and run its commands
	.ci/check-readme

lint: ## Check the format, and what the formatter's rules ask for
	swift format lint --strict --parallel --recursive $(SOURCES)

format: ## Format the sources in place
	swift format --in-place --parallel --recursive $(SOURCES)

clean: ## Remove everything that was built
	rm -rf .build .build-*
