# Everything that is run by hand or by CI; `make help` lists it.
CARGO ?= cargo

.DEFAULT_GOAL := help
# One cargo at a time: parallel ones only wait for each other's lock, and mix their output.
.NOTPARALLEL:
.PHONY: help demo demo-stay test fmt scripts proto policy advisories lint docs unit test-java-sdk test-kill bench clean-tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, play the main job against the simulated Partner Center, exit 0 if all of it was seen
	$(CARGO) run -- demo --once

demo-stay: ## the same, then stay up and print grpcurl lines to try (ctrl-c ends it)
	$(CARGO) run -- demo

# `unit` stays last: its counted lines are the end of the output.
test: fmt scripts proto policy lint docs unit ## every check and every test; installs what it needs into .tools

fmt: ## Rust sources are formatted
	$(CARGO) fmt --check

scripts: ## shellcheck of the shell scripts
	tools/lint-scripts

proto: ## buf lint of proto/
	tools/lint-proto

policy: ## licences, banned crates and sources of the dependency tree (deny.toml), without network
	tools/check-policy bans licenses sources

advisories: ## known vulnerabilities in the dependency tree; fetches the RustSec database
	tools/check-policy advisories

lint: ## clippy on all targets, warnings are errors
	$(CARGO) clippy --all-targets -- -D warnings

docs: ## rustdoc without warnings (README, links and docs/ are checked by the tests of `unit`)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --quiet

unit: ## cargo test: documentation, unit and integration tests
	$(CARGO) test --doc
	$(CARGO) test --lib --bins
	$(CARGO) test --test integration

test-java-sdk: ## Microsoft's Java SDK, unchanged, against the simulator (needs Maven and a JDK)
	tools/java-sdk-check/run.sh

test-kill: ## SIGKILL at 200 random moments of 50 offboardings, with figures; see docs/reliability.md
	KILL_TEST_KILLS=200 $(CARGO) test --test integration -- --exact --nocapture \
	  kill::whenever_it_is_killed_every_offboarding_ends_and_nothing_is_done_blindly

bench: ## from RemoveRelationship to the removal, 50 subscriptions, 50 ms latency; docs/performance.md
	$(CARGO) bench --bench critical_path

clean-tools: ## forget the tools installed into .tools
	rm -rf .tools
