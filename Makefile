.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
# One more than the cores of a small machine, as tests wait for processes, too.
JOBS ?= 3
# Tests make thousands of small files and wait for each to be on the disk; none cuts the power. Memory
# serves them as well, if there is enough of it.
SHM_KB := $(shell df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)
TMPDIR ?= $(shell [ "$(or $(SHM_KB),0)" -gt 4000000 ] && echo /dev/shm || echo /tmp)
TEST := TMPDIR=$(TMPDIR) $(VENV)/bin/python -m pytest
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help
help: ## print this help
	@awk 'BEGIN {FS = ":.*## "; print "make …"} /^[a-z\/-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"runledger needs Python 3.11 or newer, found {v[0]}.{v[1]}: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . --group test --group check
	@touch $(STAMP)

.PHONY: install
install: $(STAMP) ## make a virtual environment in .venv with everything that is needed

.PHONY: run
run: $(STAMP) ## demo: an agent loop emits runs, the terminal shows what was projected from them
	@$(BIN)/runledger demo

.PHONY: serve
serve: $(STAMP) ## serve the demo's ledger over HTTP, at http://localhost:8283
	@test -e demo/runs.db || $(BIN)/runledger demo > /dev/null
	@$(BIN)/runledger --store sqlite:///demo/runs.db --read-models demo/runs.duckdb serve

.PHONY: test
test: $(STAMP) ## all tests, on SQLite and on a PostgreSQL server that they start themselves
	$(TEST) -n $(JOBS) $(ARGS)

.PHONY: test-fast
test-fast: $(STAMP) ## for every edit: SQLite, laws with few examples, no test that takes seconds
	HYPOTHESIS_PROFILE=fast $(TEST) -n $(JOBS) --fast $(ARGS)

.PHONY: test-package
test-package: $(STAMP) ## build wheel and sdist, install each into an empty environment, run the demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group package
	$(BIN)/python -m pytest -m package tests/package

.PHONY: browser
browser: $(STAMP)
	@command -v chromium > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group browser

.PHONY: test-browser
test-browser: browser ## the page in a real Chromium, which it installs if it is missing
	RUNLEDGER_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m browser tests/web

.PHONY: test-fuzz
test-fuzz: $(STAMP) ## requests made from the OpenAPI document, some minutes (EXAMPLES=200 for each operation)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	$(if $(EXAMPLES),RUNLEDGER_FUZZ_EXAMPLES=$(EXAMPLES)) $(BIN)/python -m pytest -m fuzz tests/server

.PHONY: test-typescript
test-typescript: $(STAMP) ## a client in TypeScript, typed from the OpenAPI document (needs node and npm)
	$(BIN)/python -m pytest -m typescript tests/server

.PHONY: soak
soak: $(STAMP) ## load a server at half of what it takes, and show what grows (MINUTES=10)
	$(BIN)/python -m scripts.soak --minutes $(or $(MINUTES),10)

.PHONY: screenshots
screenshots: browser ## draw the pictures of the page in docs/pictures
	$(BIN)/python -m scripts.take_screenshots

.PHONY: pooler
pooler: $(STAMP) ## the tests behind PgBouncer alone; they fail if it is missing (apt-get install pgbouncer)
	RUNLEDGER_REQUIRE_PGBOUNCER=1 $(BIN)/python -m pytest -m pgbouncer

.PHONY: check
check: $(STAMP) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: reference
reference: $(STAMP) ## write the reference pages of docs/ from the code
	$(BIN)/python -m scripts.write_reference
	$(BIN)/python -m scripts.draw_state_machine
	$(BIN)/python -m scripts.draw_generations

.PHONY: prices
prices: $(STAMP) ## write the shipped price table from the pinned version of its source
	$(BIN)/python -m scripts.write_prices

.PHONY: docs
docs: $(STAMP) ## build the documentation as a site in site/; a broken link fails
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.PHONY: bench
bench: $(STAMP) ## measure beside the peers, in one run (SIZE=medium for 1 M events, SIZE=full for 10 M)
	$(BIN)/python -m scripts.bench $(if $(SIZE),--size $(SIZE)) $(if $(JSON),--json $(JSON))

.PHONY: test-notebook
test-notebook: $(STAMP) ## the ledger in the kernel of a notebook, which it installs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group notebook
	$(BIN)/python -m pytest tests/notebook

.PHONY: test-frameworks
test-frameworks: $(STAMP) ## runs of real frameworks with fake models, received over OpenTelemetry; installs them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group frameworks
	$(BIN)/python -m pytest tests/frameworks

.PHONY: growth
growth: $(STAMP) ## measure what grows with the log, and draw it (SIZE=full: up to 10 M events)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group plot
	$(BIN)/python -m scripts.bench.growth $(if $(SIZE),--size $(SIZE)) --output growth

.PHONY: torture
torture: $(STAMP) ## kill, stop and cut off processes on both databases, and check (MINUTES=5, MUTATION=no-append-lock)
	$(BIN)/python -m scripts.torture --minutes $(or $(MINUTES),5) $(if $(MUTATION),--mutation $(MUTATION))

.PHONY: clean
clean: ## remove the virtual environment, caches and demo files
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis demo growth site
