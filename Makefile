# The targets of this project. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup test fast check bench

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## Install the project and its tools into .venv

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

test: setup ## Run every test, on a PostgreSQL of its own
	$(BIN)/python -m pytest

fast: setup ## Run the rules alone, without a database
	$(BIN)/python -m pytest --ignore tests/store

check: setup ## Lint, types, layers and tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: setup ## Measure the peers; needs BENCH_URL, a PostgreSQL that may be filled
	$(BIN)/python -m tests.bench.peers --url "$(BENCH_URL)"
