# Both commands do all the set-up they need; see README.md.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
STACK ?= dev
# The provider SDKs are compiled once, not on every run.
unexport PYTHONDONTWRITEBYTECODE

# Machines and networks need root.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env)

.PHONY: help rehearse unit lint test test-matrix bench format lock docs preview up drift

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

rehearse: ## Run the stack (STACK=dev) on the stand-in cloud, check it, leave it up
	@./rehearse up --check --stack $(STACK)

unit: ## Lint, types and the tests that need no machine
	@./setup
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest -n auto --dist loadfile -m "not machines"

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m basedpyright --warnings

test: unit ## Everything: unit, then real machines on the stand-in cloud
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m pytest -n 2 --dist loadfile -m "machines and not matrix"

test-matrix: ## Every server behind every proxy: load, check table, smuggling; a line for each
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m pytest -n 2 --dist loadfile -v -m machines \
	    tests/provisioning/test_servers_on_a_host.py tests/provisioning/smuggling tests/rehearsal/checks/test_every_pair.py

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: ## Measure it against the alternatives, two hours: docs/benchmarks.md
	@./setup --machines
	$(AS_ROOT) $(PYTHON) -m bench.run

# What `current` in operator.ranges meant at the last `up` still means it: another runner's address is no change.
AS_BEFORE = OPERATOR_ADDRESS="$$(pulumi stack output operator_address --stack $(STACK) 2>/dev/null)"
PULUMI_OPTIONS = --stack $(STACK) --policy-pack policy --diff --non-interactive --color never

preview: ## What an up of STACK would change, held to the policy pack; changes nothing
	@./setup
	@$(AS_BEFORE) pulumi preview $(PULUMI_OPTIONS)

up: ## Bring STACK up for real, held to the policy pack
	@./setup
	@pulumi up --yes $(PULUMI_OPTIONS)

drift: ## Fail when what stands is not what STACK declares; changes nothing
	@./setup
	@$(AS_BEFORE) pulumi preview --refresh --expect-no-changes $(PULUMI_OPTIONS)

# No index's address goes in, as uv.lock would have it.
COMPILE := .venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
OURS := --universal --python-version 3.11 pyproject.toml

lock: ## Compile requirements.lock, what of it the package needs, and the servers' pins
	$(COMPILE) $(OURS) --all-extras --output-file requirements.lock
	$(COMPILE) $(OURS) --constraint requirements.lock --output-file package/requirements.txt
	for pins in provisioning/servers/pins/*.in; do \
	    $(COMPILE) --python-version 3.13 --python-platform linux --only-binary :all: --no-annotate \
	        $$pins --output-file $${pins%.in}.txt || exit; done
