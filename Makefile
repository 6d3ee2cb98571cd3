# One-word tasks. `make help` lists them; `make test` is all that CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
SEEDS ?= 500
ARGS ?=

RUNTIME := .venv/.installed
TOOLS := .venv-dev/.installed
EXAMPLES := .cache/examples/.installed
NODE := tests/e2e/node/node_modules/.installed
NODE_OLD := tests/e2e/node-old/node_modules/.installed
NODE_SEED := tests/e2e/node-seed/node_modules/.installed
PEER_VERSION := 1.7.12
PEER := .cache/peer/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server

PIP_INSTALL := install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
PIP_EDITABLE := install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends
# The longest first: each file runs as a whole, two at a time.
SLOW_TESTS := $(wildcard tests/kill tests/e2e tests/simulation tests/contract tests/fuzz)

.PHONY: help install demo up check test test-against-restate test-compose test-fdb simulate bench fix docs clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(RUNTIME) ## Make .venv with the server in it, from pinned and hashed requirements

demo: $(RUNTIME) $(EXAMPLES) ## Watch services being called, killed in the middle and completed
	@.cache/examples/bin/python examples/demo.py

up: $(RUNTIME) ## Start NATS and all five processes here, data in ./target
	@.venv/bin/perdure up $(ARGS)

check: $(TOOLS) ## Lint, types, import rules, unit and house tests: under a minute
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/pyright --warnings
	.venv-dev/bin/lint-imports
	.venv-dev/bin/python -m pytest tests/unit tests/house

test: check $(RUNTIME) $(NODE) $(NODE_OLD) $(NODE_SEED) psql chromium jdbc prometheus ## Everything that CI runs
	SEEDS=$(SEEDS) .venv-dev/bin/python -m pytest -n 2 --dist loadfile $(SLOW_TESTS)
	$(MAKE) test-compose

test-against-restate: $(TOOLS) $(NODE) $(PEER) ## Run the end-to-end tests against the server that ours must be like
	PERDURE_TEST_PEER=restate RESTATE_SERVER=$(CURDIR)/$(PEER) .venv-dev/bin/python -m pytest $(or $(ARGS),tests/e2e tests/kill)

test-compose: $(TOOLS) docker ## Run the set without FoundationDB in containers: calls, kills, scales, debugs
	.venv-dev/bin/python -m pytest -rs --durations=3 tests/compose

FDB_TESTS := tests/contract/store tests/e2e/contract $(addprefix tests/e2e/test_,admin.py awakeables.py calls.py failures.py fleet.py \
	objects.py query.py results.py sql_suite.py state_mutation.py steps.py workflows.py) tests/kill/test_kill.py

test-fdb: $(TOOLS) $(RUNTIME) $(NODE) ## Run store, end-to-end and kill tests on the FoundationDB cluster of PERDURE_FDB_CLUSTER_FILE
	@missing=$$(.venv-dev/bin/python -m tests.fdb.presence); \
	if [ -n "$$missing" ]; then echo "skipped, there is no FoundationDB: $$missing"; \
	else .venv-dev/bin/python -m pytest -n 2 --dist loadfile $(or $(ARGS),$(FDB_TESTS)); fi

simulate: $(TOOLS) ## Run SEEDS=n seeds of the simulation
	SEEDS=$(SEEDS) .venv-dev/bin/python -m pytest tests/simulation

bench: $(RUNTIME) $(TOOLS) $(NODE) $(PEER) wrk h2load ## Measure this server and the real one in one sitting
	RESTATE_SERVER=$(PEER) .venv-dev/bin/python -m benchmarks $(ARGS)

fix: $(TOOLS) ## Sort out what lint and format can mend themselves
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

docs: $(TOOLS) ## Write the reference pages that are generated
	.venv-dev/bin/python docs/generate.py

clean: ## Remove everything that make has made
	rm -rf .venv .venv-dev .cache tests/e2e/node/node_modules tests/e2e/node-old/node_modules tests/e2e/node-seed/node_modules target

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip $(PIP_INSTALL) -r requirements/runtime.txt
	.venv/bin/python -m pip $(PIP_INSTALL) --upgrade --target .cache/build -r requirements/build.txt
	PYTHONPATH=.cache/build .venv/bin/python -m pip $(PIP_EDITABLE)
	@touch $@

$(TOOLS): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python -m pip $(PIP_INSTALL) -r requirements/dev.txt
	.venv-dev/bin/python -m pip $(PIP_EDITABLE)
	@touch $@

$(EXAMPLES): requirements/examples.txt
	$(PYTHON) -m venv .cache/examples
	.cache/examples/bin/python -m pip $(PIP_INSTALL) -r requirements/examples.txt
	@touch $@

$(NODE): tests/e2e/node/package.json tests/e2e/node/package-lock.json | npm
	cd tests/e2e/node && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(NODE_OLD): tests/e2e/node-old/package.json tests/e2e/node-old/package-lock.json | npm
	cd tests/e2e/node-old && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(NODE_SEED): tests/e2e/node-seed/package.json tests/e2e/node-seed/package-lock.json | npm
	cd tests/e2e/node-seed && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(PEER): | npm
	npm install --prefix .cache/peer --no-fund --no-audit --loglevel=error @restatedev/restate-server@$(PEER_VERSION)

# Programs of the system that tests and benchmarks call, from Debian where they are missing.
.PHONY: npm psql prometheus jdbc wrk docker chromium
npm:
	@command -v npm >/dev/null || { apt-get update && $(APT_INSTALL) npm; }
psql:
	@command -v psql >/dev/null || { apt-get update && $(APT_INSTALL) postgresql-client; }
prometheus:
	@command -v promtool >/dev/null || { apt-get update && $(APT_INSTALL) prometheus; } || echo "prometheus is missing: what needs it is skipped"
jdbc:
	@[ -e /usr/share/java/postgresql.jar ] && command -v java >/dev/null || { apt-get update && $(APT_INSTALL) default-jre-headless libpostgresql-jdbc-java; }
chromium:
	@command -v chromedriver >/dev/null || { apt-get update && $(APT_INSTALL) chromium chromium-driver; }
wrk:
	@command -v wrk >/dev/null || { apt-get update && $(APT_INSTALL) wrk; } || echo "wrk is missing: a slower load generator is used"
.PHONY: h2load
h2load:
	@command -v h2load >/dev/null || { apt-get update && $(APT_INSTALL) nghttp2-client; }
docker:
	@command -v dockerd >/dev/null || { apt-get update && $(APT_INSTALL) docker.io docker-compose runc iptables debootstrap; } || echo "no Docker engine can be installed: tests of containers are skipped"
