# The words a newcomer types; `make` alone lists them. ARGS reaches the program behind a word:
#     make run ARGS="--help"      make test ARGS="--test lifecycle"      make stack ARGS="-c worker=3"

.PHONY: help run test clients stack lint openapi release-document needed

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: ## run everything in one process, with SQLite and a simulated Svix
	cargo run --locked --bin standalone -- $(ARGS)

test: needed ## run all tests, with a private PostgreSQL and Redis, and in Chromium
	scripts/with-services -- cargo test --locked --workspace $(or $(ARGS),--tests)

clients: needed ## generate clients in five languages, and test them and the document
	scripts/with-services -- cargo test --locked --workspace --test clients --test document --test released

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

# What the tests need. Each list below says what is made anew once what stands behind its colon changes.
needed:
	@scripts/install-deps redis postgresql node npm chromium venv java java-annotations go go-validator
	@$(MAKE) --no-print-directory --jobs 2 $(PACKAGES)
	cargo build --locked --workspace --bins
	@$(MAKE) --no-print-directory --jobs 2 $(CLIENTS)

PACKAGES := $(patsubst %/package.json,%/node_modules/.package-lock.json,$(wildcard tests/*/package.json)) \
            $(patsubst %/requirements.txt,%/.venv/.installed,$(wildcard tests/*/requirements.txt))
CLIENTS := $(patsubst %/build,%/.built,$(wildcard tests/clients/*/build))

# npm writes this file last.
%/node_modules/.package-lock.json: %/package.json %/package-lock.json %/.npmrc
	cd $* && npm ci --loglevel=error

# --no-deps: the list names every package, so that a new version of one is taken by nobody unawares.
%/.venv/.installed: %/requirements.txt
	python3 -m venv --clear $*/.venv
	$*/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

.SECONDEXPANSION:
tests/clients/%/.built: tests/clients/%/build openapi.yaml $(wildcard tests/clients/*.*) \
                        $$(wildcard tests/clients/$$*/*.* tests/clients/$$*/generate tests/clients/$$*/classpath)
	@rm -f $@
	tests/clients/$*/build
	@touch $@
