# Everything here sets itself up: python3 with venv is enough, uv is used when it is there.
# After the first run nothing is downloaded again until pyproject.toml changes.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
DEMO_RUN := runs/digits-mlp-demo

# One worker for each core, for compiling takes most of the time; more than 8 only take memory.
PYTEST := $(BIN)/python -m pytest -q -n auto --maxprocesses 8

# PyTorch's own index has wheels without CUDA, which are ten times smaller.
ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python
torch_without_cuda = --torch-backend cpu
else
# of all that pip says, only the large downloads
install = set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
torch_without_cuda = --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu
shown = | awk '/(Downloading|Using cached) .* MB\)/ { sub(/^ */, "  "); print; fflush() }'
endif

##@ Use
.PHONY: demo
demo: $(VENV)/.native ## train a network on handwritten digits and write its run folder
	@$(BIN)/denpa train digits-mlp --run $(DEMO_RUN) --overwrite

.PHONY: lab
lab: $(VENV)/.native ## run every study of the lab on small data and make its page (some minutes)
	@$(BIN)/denpa lab run all --quick --overwrite $(ARGS)

##@ Check
.PHONY: test lint types tests
test: lint types tests ## everything that must pass: lint, types, tests

lint: $(VENV)/.dev ## ruff, formatting, and the floors (which package may import which)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted; 'make format' mends it."; exit 1; }
	@$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev ## pyright
	@$(BIN)/pyright --pythonpath $(BIN)/python

tests: $(VENV)/.dev ## pytest alone; ARGS="-k dense" chooses
	@$(PYTEST) $(ARGS)

.PHONY: test-peers
test-peers: $(VENV)/.bench ## compare with PyTorch and others, live (a large download)
	@$(BIN)/python -m pytest -q tests/peers $(ARGS)

.PHONY: bench
bench: $(VENV)/.bench ## measure the speed beside PyTorch, JAX, Keras and scikit-learn (some hours)
	@for name in start oracle scaling training convolution recurrent rtrl estimators bagging grid; do \
	  echo "== benchmarks/bench_$$name.py"; $(BIN)/python benchmarks/bench_$$name.py $(ARGS) || exit 1; done
	@$(BIN)/python benchmarks/write_docs.py

##@ Work
.PHONY: format docs clean help
format: $(VENV)/.dev ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

docs: $(VENV)/.docs ## build the documentation into docs/_build; a warning is an error
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build
	@echo "docs/_build/index.html"

clean: ## remove what was built, the virtual environment included; runs/ stays
	rm -rf $(VENV) build dist docs/_build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Set-up. A stamp is newer than pyproject.toml when everything in it is installed.
$(VENV)/.package: pyproject.toml
ifdef UV
	@echo "Setting up $(VENV) with uv ..."
	@test -x $(BIN)/python || $(UV) venv --quiet --python '>=3.11' $(VENV)
else
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "denpa needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(install) --upgrade 'pip>=25.1' $(shown)
endif
	@export DENPA_NATIVE=0; $(install) --editable . $(shown)
	@touch $@

# The kernels are compiled here, where jaxlib and its headers are already, and again when their sources change.
$(VENV)/.native: $(VENV)/.package scripts/build_native.py $(wildcard $(addprefix src/denpa/kernels/native/,*.cc *.h loading.py))
	@$(BIN)/python scripts/build_native.py --optional
	@touch $@

$(VENV)/.dev: $(VENV)/.native
	@echo "Adding the tools for tests ..."
	@$(install) --group dev $(shown)
	@touch $@

$(VENV)/.docs: $(VENV)/.package
	@echo "Adding the tools for the documentation ..."
	@$(install) --group docs $(shown)
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "Adding PyTorch, Keras, Flax and scikit-learn ..."
	@$(install) --no-deps $(torch_without_cuda) 'torch>=2.4' $(shown) || echo "No PyTorch without CUDA; taking PyPI's."
	@export DENPA_NATIVE=0; $(install) --editable '.[bench]' $(shown)
	@touch $@
