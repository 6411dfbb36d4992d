# `make` alone lists the verbs. `demo` and `test` create all that they need; stamp files make the second call instant.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
BOOT := PYTHON=$(PYTHON) sh deploy/bootstrap
PEERS := $(patsubst tests/peers/%.lock,.peers/%/.locked,$(wildcard tests/peers/*.lock))
CATALOGUES := $(wildcard collector/locale/*/LC_MESSAGES/*.po)

.PHONY: help demo test check format venv lock wheel

help: ## list these verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r verb does; do printf '  make %-7s %s\n' "$$verb" "$$does"; done

demo: ## a simulated district and the collector; ARGS=--once: one fast run that ends with its summary
	@$(BOOT) packages demo
	@$(MAKE) venv
	@$(BIN)/chaobiao demo $(ARGS)

test: ## all tests; ARGS='-k word' picks some
	@$(BOOT) packages test
	@$(MAKE) venv $(PEERS)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: venv ## format, lint, types, imports: changes nothing
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check . | head -20; echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.log 2>&1 || { cat $(VENV)/imports.log; exit 1; }
	@echo "check: format, lint, types and imports are good"

format: venv ## put the format and the order of imports right
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

venv: $(VENV)/.installed ## the virtual environment, from the lock

lock: venv ## write the lock files anew, newest versions that pyproject.toml allows
	@sh deploy/lock $(BIN)/uv

wheel: venv ## dist/*.whl
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . > $(VENV)/wheel.log 2>&1 || { cat $(VENV)/wheel.log; exit 1; }
	@ls dist/*.whl

$(VENV)/.locked: requirements-dev.lock
	@$(BOOT) packages python
	@$(BOOT) venv $(VENV) requirements-dev.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml hatch_build.py $(CATALOGUES)
	@$(BOOT) project $(VENV)
	@touch $@

.peers/%/.locked: tests/peers/%.lock
	@$(BOOT) packages python
	@$(BOOT) venv .peers/$* $<
	@touch $@
