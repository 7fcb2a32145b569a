# The commands of this repository; `make` alone lists them. Nothing needs to be installed first but Python and git.
#
#   PYTHON=python3.12        the Python that makes the environment (3.11 or newer; looked for when not given)
#   PIP_ARGS="..."           further words for pip, for instance another index for a CPU or CUDA build of torch
#   ARGS="..."               further words for pytest: make test ARGS="tests/config -k names"
#   WORKERS=4                processes that share the tests

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test lint bench clean

PIP_ARGS ?=
ARGS ?=
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif
WORKERS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

BIN := .venv/bin
INSTALLED := .venv/installed
BENCHMARKS := $(filter-out common full_size larger_than_memory,$(patsubst benchmarks/%.py,%,$(wildcard benchmarks/*.py)))
BENCHMARKS += $(filter-out $(addprefix speed.,turns pairs corpus profile),$(patsubst benchmarks/speed/%.py,speed.%,$(wildcard benchmarks/speed/*.py)))
# DVC starts each stage as `python -m stages.NAME`: that must be the environment's Python.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

define INSTALL
@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer \
is needed; name yours with: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
"$(PYTHON)" -m venv .venv
$(BIN)/python -m pip install $(PIP_ARGS) --requirement requirements.lock
$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
@touch $(INSTALLED)
endef

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s%s\n", $$1, $$2 }' Makefile

install: ## make .venv and install the pinned packages, or put them right again (run, test, lint and bench need no word)
	$(INSTALL)

run: $(INSTALLED) ## run every stage that the choices in configs/config.yaml changed, then print the results
	@$(BIN)/ulmfit check
	@$(BIN)/dvc repro
	@$(BIN)/ulmfit results

test: $(INSTALLED) ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadgroup $(ARGS)

lint: $(INSTALLED) ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) ## run every benchmark (long; each is also a command of its own, see benchmarks/)
	@test -f benchmarks/peers/.venv/installed || $(BIN)/python -m benchmarks.peers.environment
	@for name in $(BENCHMARKS); do echo "== $$name" && $(BIN)/python -m benchmarks.$$name || exit 1; done

clean: ## delete caches of the tools (never data, models, results or the environment)
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once, and again when the pinned versions or the package's metadata change.
$(INSTALLED): requirements.lock pyproject.toml
	$(INSTALL)
