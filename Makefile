.DEFAULT_GOAL := help
SHELL := bash
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Tests start hundreds of processes: what one has compiled is kept for the next, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := libs services clients stack tests bench tools

.PHONY: help
help: ## print what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.venv/.installed: requirements.lock tools/install $(wildcard libs/*/pyproject.toml services/*/pyproject.toml clients/python/pyproject.toml stack/pyproject.toml)
	tools/install
	@touch $@

.PHONY: setup
setup: .venv/.installed ## install everything into .venv, from the lock

.PHONY: demo
demo: setup ## extract a real invoice and a scanned receipt, and draw where the values stand
	@gleaner demo

.PHONY: up
up: setup ## start the whole suite on this machine; ctrl-C ends it
	@gleaner up

# Two processes run the tests, file by file, the longest folders first, each with a Postgres of its own: on one they would
# hold up each other's log, whose horizon is the whole server's. So a server that was given has the tests one by one.
# What the checks have said in full needs no short form among the tests.
.PHONY: test
test: setup ## everything that CI checks; the tests come last
	@$(MAKE) --no-print-directory --jobs=$$(nproc) --output-sync=target checks
	python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --deselect $(MODEL_IN_SHORT)

PROCESSES ?= $(if $(GLEANER_TEST_DATABASE_URL),0,2)
MODEL_IN_SHORT := tests/unit/model/test_model.py::test_the_models_hold_their_properties_and_every_mutation_breaks_the_one_it_should

.PHONY: checks
checks: lint check-manifests model bench-smoke

.PHONY: unit
unit: setup ## the tests that need nothing
	python -m pytest tests/unit

.PHONY: lint
lint: setup check-lock check-python check-protos check-generated ## everything that is checked without running it

.PHONY: check-lock
check-lock: setup
	tools/lock --check

.PHONY: check-python
check-python: setup
	ruff check $(SOURCES)
	ruff format --check $(SOURCES)
	mypy $(SOURCES)
	lint-imports --no-logo

.PHONY: check-protos
check-protos: setup
	buf lint
	buf format --diff --exit-code
	tools/check-breaking

.PHONY: check-generated
check-generated: setup
	tools/generate --check
	python tools/docs.py --check
	python tools/observability.py --check

.PHONY: generate
generate: setup ## generate code from protos/ into libs/protos
	tools/generate

.PHONY: docs
docs: setup ## print the pages of docs/ that come from the code, dashboard and rules of objectives
	python tools/docs.py
	python tools/observability.py

.PHONY: manifests
manifests: check-manifests ## render the Kubernetes manifests, validate them, and check them by our own rules
	python -m pytest -q tests/unit/k8s

.PHONY: check-manifests
check-manifests: setup
	tools/check-manifests

.PHONY: try-images
try-images: setup ## build the images, and run a job in containers as compose.yaml says; needs a Docker engine
	tools/try-images

.PHONY: model
model: ## check the formal model of leases and of the log
	docs/model/check

.PHONY: bench-smoke
bench-smoke: setup ## run every benchmark, small, to see that it runs
	tools/bench-smoke

.PHONY: chaos
chaos: setup ## 10,000 races, then real processes killed, stopped and cut off for MINUTES (5); last line: lost, doubled
	GLEANER_TEST_RACES=10000 python -m pytest -q tests/integration/repo/test_cancel_races.py tests/integration/repo/test_zombies.py
	GRPC_VERBOSITY=ERROR PYTHONPATH=tests python -m chaos --seconds $$(( 60 * $(or $(MINUTES),5) )) $(CHAOS)

.PHONY: rehearsal
rehearsal: setup ## scale up, down and to zero by the scaler's figures and replace every replica, under load; last line: failed, lost
	GRPC_VERBOSITY=ERROR PYTHONPATH=tests python -m rehearsal $(REHEARSAL)

.PHONY: prove-the-proof
prove-the-proof: setup ## take out one guard after the other and show which check finds it
	tools/prove-the-proof $(PROOF)

.PHONY: accuracy
accuracy: setup ## measure extraction and grounding on the labelled documents
	python -m bench.accuracy
	python -m bench.accuracy --grounding

.PHONY: format
format: setup ## format code and protos
	ruff check --fix $(SOURCES)
	ruff format $(SOURCES)
	buf format -w

.PHONY: lock
lock: setup ## bring requirements.lock up to date with the pyproject files
	tools/lock
