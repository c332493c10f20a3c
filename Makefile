# The words a newcomer types; `make` alone lists them. ARGS reaches the program behind a word:
#     make run ARGS="--help"      make test ARGS="--test lifecycle"      make stack ARGS="-c worker=3"

.PHONY: help run test stack lint openapi release-document

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: ## run everything in one process, with SQLite and a simulated Svix
	cargo run --locked --bin standalone -- $(ARGS)

test: ## run all tests, with a private PostgreSQL and Redis, and in Chromium
	@scripts/install-deps redis postgresql node npm chromium
	@$(MAKE) --no-print-directory $(BROWSER)
	cargo build --locked --workspace --bins
	cargo test --locked --workspace --exclude tests
	scripts/with-services -- cargo test --locked --package tests $(or $(ARGS),--tests)

# What drives the browser. npm writes this file last.
BROWSER := tests/browser/node_modules/.package-lock.json
$(BROWSER): tests/browser/package-lock.json tests/browser/.npmrc
	cd tests/browser && npm ci --loglevel=error

stack: ## run the production shape: Procfile, PostgreSQL, Redis, a simulated Svix
	@scripts/install-deps
	cargo build --locked --workspace --bins
	@scripts/stack $(ARGS)

lint: ## check formatting and lints, as CI does
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# Through a second file, so that a failure leaves the old one whole.
openapi: ## write openapi.yaml from the code
	cargo run --quiet --locked --bin api -- openapi > openapi.yaml.new || { rm -f openapi.yaml.new; exit 1; }
	@mv openapi.yaml.new openapi.yaml

release-document: ## keep openapi.yaml as the released document of its version, in docs/released
	@scripts/release-document
