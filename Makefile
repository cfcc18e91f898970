# Each target sets up all it needs: a virtual environment in .venv, from the versions in constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COMMA := ,
RUNS ?= reports/runs
JOBS ?= 2

# Rooms whose branches the quick tests must cover, and the least share of them in percent.
COVERED := text attacks tasks attack_sets metrics records analysis
COVERAGE := 90

.PHONY: help demo format test test-slow check clean
.DEFAULT_GOAL := help

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

# One mark per set of extras that is installed; the full set serves all targets.
define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(VENV)/.all -a $(VENV)/.all -nt pyproject.toml -a $(VENV)/.all -nt constraints.txt || $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(1)]'
	touch $@
endef

$(VENV)/.demo: pyproject.toml constraints.txt
	$(call install,offline)

$(VENV)/.test: pyproject.toml constraints.txt
	$(call install,offline$(COMMA)test)

$(VENV)/.check: pyproject.toml constraints.txt
	$(call install,offline$(COMMA)dev)

$(VENV)/.all: pyproject.toml constraints.txt
	$(call install,all)

demo: $(VENV)/.demo ## Attack eight generated data sets, compare four systems on two, write an HTML report (about 3 minutes)
	$(BIN)/robustbench-char run demo --store $(RUNS)/store --output $(RUNS)/demo

format: $(VENV)/.check ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix -q .
	$(BIN)/ruff format -q .

test: $(VENV)/.test ## Run the quick tests (offline, seeded)
	$(BIN)/pytest -n $(JOBS) --dist loadscope -m 'not slow'

test-slow: $(VENV)/.all ## Run the slow tests: kills, Ray, whole benchmarks, a browser, large files
	$(BIN)/pytest -n $(JOBS) --dist loadscope -m slow

check: $(VENV)/.check ## Lint, types, the order of the rooms, and the coverage of the light rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -n $(JOBS) --dist loadscope -m 'not slow and not data' --hypothesis-profile=few tests/project/test_sizes.py \
		$(COVERED:%=tests/%) $(COVERED:%=--cov=robustbench_char.%) --cov-branch --cov-report=
	@for room in $(COVERED); do \
		share=$$($(BIN)/coverage report --include="robustbench_char/$$room/*" --format=total); \
		echo "covered of $$room: $$share %"; \
		test "$$share" -ge $(COVERAGE) || less="$$less $$room"; \
	done; test -z "$$less" || { echo "under $(COVERAGE) %:$$less" >&2; exit 1; }

clean: ## Remove the environment, caches and what the demo wrote
	rm -rf $(VENV) $(RUNS)/demo $(RUNS)/store .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
