# Each target sets up all it needs: a virtual environment in .venv, from the versions in constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= reports/runs
JOBS ?= 2

.PHONY: help demo test check clean
.DEFAULT_GOAL := help

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(VENV)/.all || $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[offline]'
	touch $@

$(VENV)/.all: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

demo: $(VENV)/.demo ## Attack eight generated data sets, compare six systems on three, write an HTML report (about 7 minutes)
	$(BIN)/robustbench-char run demo --store $(RUNS)/store --output $(RUNS)/demo

test: $(VENV)/.all ## Run the tests (offline, seeded)
	$(BIN)/pytest -n $(JOBS) --dist loadscope

check: $(VENV)/.all ## Lint, types, and the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean: ## Remove the environment, caches and what the demo wrote
	rm -rf $(VENV) $(RUNS)/demo $(RUNS)/store .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
