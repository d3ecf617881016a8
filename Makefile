# quire: every task of the project. `make help` explains them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

export CARGO_TERM_COLOR ?= auto
# The model that tests and benchmarks load; `make run` keeps its own in QUIRE_MODELS_DIR or data/models.
TEST_MODELS := $(CURDIR)/target/models

.PHONY: help setup run test lint fmt docs prepare bench bench-extract bench-models eval fuzz chaos deny clean-data

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what the machine lacks: PostgreSQL, Tesseract, a C compiler, cargo-nextest
	@scripts/setup.sh

run: setup ## Build, get the default model, and run quire on http://localhost:8000
	cargo build --release --workspace --bins
	@target/release/quire models pull || echo "quire: going on without a model: answers are found by words only"
	@exec target/release/quire serve

test: setup ## Run everything that must hold: rules of the tree, then every test against a real Postgres
	scripts/check-invariants.sh
	cargo fmt --all --check
	cargo nextest run --workspace --no-run
	@QUIRE_MODELS_DIR=$(TEST_MODELS) target/debug/quire models pull || echo "quire: no model could be had: tests that need one say so"
	QUIRE_TEST_MODELS=$(TEST_MODELS) cargo nextest run --workspace

lint: ## Check formatting, clippy, documentation and the rules of the tree; warnings are errors
	scripts/check-invariants.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fmt: ## Format the code
	cargo fmt --all

docs: ## Build the documentation of the crates
	cargo doc --workspace --no-deps

prepare: ## Check every SQL query against a scratch database and write .sqlx
	scripts/prepare.sh

bench: setup ## Measure start, accept, pickup and event latency of a release build on this machine
	cargo build --release --workspace --bins
	@QUIRE_MODELS_DIR=$(TEST_MODELS) target/release/quire models pull
	QUIRE_TEST_MODELS=$(TEST_MODELS) cargo bench -p quire --bench service
	cargo bench -p quire-store --bench queue

bench-models: ## Time the decoder beside llama.cpp, and the embedder beside candle's, in turn: ROUNDS=3 SHAPE=qwen3-0.6b FORMAT=q4
	scripts/bench-models.sh

CORPUS ?= ../shared/corpus
eval: ## Ask the extractive engine the questions of models/eval about real documents: CORPUS=where they are
	cargo build --workspace --bins
	@QUIRE_MODELS_DIR=$(TEST_MODELS) target/debug/quire models pull
	scripts/eval.sh $(CORPUS) $(TEST_MODELS)

bench-extract: ## Print extraction beside other libraries; ARGS="--quick --seed 7 --only pdf --annotated DIR", QUIRE_CORPUS=DIR
	@scripts/bench-extract.sh $(ARGS)

TIME ?= 60
fuzz: ## Fuzz the parser of each format for TIME seconds; FORMATS="pdf xlsx" for some
	@TIME=$(TIME) scripts/fuzz.sh $(FORMATS)

JOBS ?= 20000
FAULTS ?= 1000
SEED ?= 1
chaos: setup ## Kill, freeze and stop everything at random under load, about half an hour: JOBS=20000 FAULTS=1000 SEED=1
	cargo build --release --workspace --bins
	@! grep -q FAILPOINT_FILE target/release/quire || { echo 'quire: the release program has failpoints in it'; exit 1; }
	cargo nextest run --workspace --no-run
	CHAOS_PROGRAM=$(CURDIR)/target/release/quire CHAOS_JOBS=$(JOBS) CHAOS_FAULTS=$(FAULTS) CHAOS_SEED=$(SEED) \
		cargo nextest run --profile chaos --workspace --no-capture -E 'test(nothing_is_lost_and_nothing_is_seen_twice)'

deny: ## Check licences and duplicate versions of the dependencies (needs cargo-deny)
	cargo deny check licenses bans sources

clean-data: ## Delete ./data: uploaded files, jobs and the embedded database
	rm -rf data
