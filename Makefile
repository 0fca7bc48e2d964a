# `make demo` and `make test` set up everything they need; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help demo up test test-fast suite fuzz check style types format migration assets browser lock clean

VENV := .venv/bin
APP := .venv/.app-ready
DEV := .venv/.dev-ready
ASSETS := web/static/vendor/swagger-ui.css
# Tests of processes wait more than they compute, hence two to a core.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
# Tests start many processes, each of which would compile everything again.
export PYTHONDONTWRITEBYTECODE :=
PYTEST = $(VENV)/pytest -n $(WORKERS) --dist loadgroup

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' Makefile

demo: $(APP) $(ASSETS) ## Run the scripted room and keep serving (ONCE=1: leave after it)
	@$(VENV)/python -m demo $(if $(ONCE),--once)

up: $(APP) $(ASSETS) ## Run everything on this machine
	@$(VENV)/encore up

# mypy computes on one core while the tests wait for their processes.
test: style browser ## Checks and the whole suite
	@$(MAKE) --no-print-directory -j2 types suite

suite: $(DEV) $(ASSETS)
	$(PYTEST) tests

test-fast: check ## Checks and the tests that need neither a browser nor seconds
	$(PYTEST) -m 'not slow' tests

fuzz: $(DEV) ## Attack a live receiver with mutated input (SECONDS=60, SEED=n to repeat a run)
	$(VENV)/python -m tests.hostile.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

check: style types ## Format, lint, types, import law

style: $(DEV) $(ASSETS)
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/lint-imports

types: $(DEV)
	$(VENV)/mypy

bench-%: $(APP) ## Measure one part beside its peers: bench-ingest, ... (docs/benchmarks.md)
	@$(VENV)/python -m bench.$*

format: $(DEV) ## Write what `check` wants
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

migration: $(DEV) ## Write a migration from the models (m="what changed")
	$(VENV)/python -m core.migrate revision "$(m)"

assets: $(ASSETS) ## Fetch the browser's libraries

browser: $(DEV)
	@scripts/browser

lock: $(DEV) ## Resolve the locks again (needs uv on the PATH)
	uv lock --upgrade
	uv export -q --frozen --no-emit-project --extra bundled --no-dev --format requirements-txt --no-header --no-annotate > requirements.lock
	uv export -q --frozen --no-emit-project --extra bundled --format requirements-txt --no-header --no-annotate > requirements-dev.lock

clean: ## Remove what was set up (data in .encore stays)
	rm -rf .venv node_modules web/static/vendor

$(APP): requirements.lock
	@test -e $(DEV) || scripts/venv requirements.lock
	@touch $@

$(DEV): requirements-dev.lock
	@scripts/venv requirements-dev.lock
	@touch $@

$(ASSETS): package-lock.json
	@scripts/assets
