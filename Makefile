# Both commands do all the set-up they need; see README.md.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
STACK ?= dev
# The provider SDKs are compiled once, not on every run.
unexport PYTHONDONTWRITEBYTECODE

# Machines and networks need root.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env)

.PHONY: help rehearse unit lint test test-matrix bench format lock docs

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

rehearse: ## Run the stack (STACK=dev) on the stand-in cloud, check it, leave it up
	@./rehearse up --check --stack $(STACK)

unit: ## Lint, types and the tests that need no machine
	@./setup
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest -n auto -m "not machines"

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m basedpyright --warnings

test: unit ## Everything: unit, then real machines on the stand-in cloud
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m pytest -n 2 --dist loadfile -m "machines and not matrix"

test-matrix: ## Every server behind every proxy, on real machines; a line for each pair
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m pytest -s -q tests/provisioning/test_servers_on_a_host.py

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: ## Measure it against the alternatives, half an hour: docs/benchmarks.md
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m bench.run

lock: ## Compile requirements.lock from pyproject.toml
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras \
	    --no-emit-index-url --no-emit-find-links --no-header pyproject.toml --output-file requirements.lock
	for pins in provisioning/servers/pins/*.in; do \
	    .venv/bin/uv pip compile --quiet --python-version 3.13 --python-platform linux --only-binary :all: \
	        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	        $$pins --output-file $${pins%.in}.txt || exit; done
