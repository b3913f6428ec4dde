.DEFAULT_GOAL := help
SHELL := bash
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## print what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.venv/.installed: requirements.lock tools/install $(wildcard libs/*/pyproject.toml services/*/pyproject.toml clients/python/pyproject.toml stack/pyproject.toml)
	tools/install
	touch $@

.PHONY: setup
setup: .venv/.installed ## install everything into .venv, from the lock

.PHONY: generate
generate: setup ## generate code from protos/ into libs/protos
	buf generate 2>/dev/null || buf generate
	git diff --stat -- libs/protos/src

.PHONY: lock
lock: setup ## bring requirements.lock up to date with the pyproject files
	tools/lock
