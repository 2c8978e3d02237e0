# The targets of this project. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run setup test fast check demo golden heavy soak real bench release

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

run: $(VENV)/installed ## Run the whole service in the foreground; Ctrl-C stops it
	@exec $(BIN)/python -P -m api.cli.main up

setup: $(VENV)/ready ## Install the project and its tools into .venv

# Debian keeps what makes environments in a package of its own.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "Python's venv is missing. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/ready: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@touch $@

# Most of the time tests wait for processes to start and to end: three at once use two cores well.
# A worker takes neighbours, which share what their module needs, and then what others still have.
test: setup ## Run every test, on PostgreSQL servers of its own
	$(BIN)/python -m pytest -n 3 --dist worksteal

fast: setup ## Run the rules alone, on fewer examples and without a database
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile few \
	-m "not database and not soak and not heavy"

check: setup ## Lint, types, layers and tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

demo: setup ## Put a year of loans and tickets into a running service (RIM_ADMIN_PASSWORD, DEMO="--seed 7")
	$(BIN)/python -m tests.demo $(DEMO)

real: setup ## Lend real loans again in a running service (NANO_LOANS, RIM_ADMIN_PASSWORD)
	$(BIN)/python -m tests.real_loans "$(NANO_LOANS)"

golden: setup ## Pin schemas, tables and reference pages as they are now; review the diff
	GOLDEN=write $(BIN)/python -m pytest -q -p no:randomly tests/test_events.py tests/test_reference.py \
	tests/projections/tables/test_tables.py tests/api/description/test_description.py tests/test_house.py \
	tests/test_security_page.py

# A registry that does not answer stops nothing: what cannot be installed skips. A worker takes whole
# files: what a file's tests share is made once.
heavy: setup ## Run what needs Node, other people's tools or large libraries; skip what is lacking
	@timeout 120 $(BIN)/python -m pip install --quiet --retries 1 --constraint constraints.txt \
	--group heavy || echo "The group heavy cannot be installed here: its tests skip." >&2
	$(BIN)/python -m pytest -n 2 --dist loadfile -m heavy

soak: setup ## The long runs: kills under load, floods, random input
	$(BIN)/python -m pytest -m soak --timeout 3600

release: setup ## Build the release into dist/, install it alone, run it and the first page; needs a registry
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group release
	rm -rf dist
	RELEASE=dist $(BIN)/python -m pytest -m heavy tests/cli/test_release.py

bench: setup ## Measure it all, a quarter of an hour; writes docs/explanation/performance.md
	$(BIN)/python -m tests.bench
