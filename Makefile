# Entasis DB. `make` or `make help` says what there is to do.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# What a virtual environment has must follow pyproject.toml.
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev

COMPOSE := docker compose --file docker/compose.yaml $(if $(MONITORING),--file docker/compose.monitoring.yaml)
# `make migrate DATABASE=docker`, and psql, status, maintain: on the server of `make up`.
ifeq ($(DATABASE),docker)
include docker/.env
export PGPASSWORD := $(POSTGRES_PASSWORD)
export DATABASE_URL := postgresql://postgres@127.0.0.1:$(or $(ENTASIS_PORT),5432)/entasis
else ifneq ($(DATABASE),)
$(error DATABASE=$(DATABASE) is unknown: it is docker, or leave it out and set DATABASE_URL)
endif

.PHONY: help migrate demo picture status psql url start stop up down test test-all lint lint-sql lint-style lint-format lint-types hooks \
  format bench erd mutants soak recovery-drill maintain clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

migrate: $(STAMP) ## Bring the database to this release ($DATABASE_URL, else an embedded server)
	@$(BIN)/entasis migrate $(if $(ENGINE),--engine $(ENGINE))

demo: $(STAMP) ## Load real trades into a scratch database, and show them on a page
	@$(BIN)/entasis demo

status: $(STAMP) ## Show the engine, the release and the migrations of the database
	@$(BIN)/entasis status

psql: $(STAMP) ## Open psql on the database
	@$(BIN)/entasis psql

url: $(STAMP) ## Print the connection URL of the database, without a password
	@$(BIN)/entasis url

maintain: $(STAMP) ## Do the daily maintenance once
	@$(BIN)/entasis maintain

start: $(STAMP) ## Start the embedded server, which make migrate has made
	@$(BIN)/entasis start

stop: $(STAMP) ## Stop the embedded server; its data stays
	@$(BIN)/entasis stop

up: docker/.env ## Start TimescaleDB in Docker (MONITORING=yes: and Grafana, Prometheus, its exporter)
	@$(COMPOSE) up --detach --wait
	@echo "TimescaleDB is up. make migrate DATABASE=docker; make psql DATABASE=docker"
	@echo "Elsewhere: DATABASE_URL=postgresql://postgres:PASSWORD@$$($(COMPOSE) port timescaledb 5432)/entasis, PASSWORD from docker/.env"

down: ## Stop what make up started (MONITORING=yes: all of it); its data stays
	@$(COMPOSE) down
	@echo "its data stays; to delete that too: $(COMPOSE) down --volumes"

docker/.env:
	@(umask 077 && $(PYTHON) -c 'import re, secrets, sys; \
	  sys.stdout.write(re.sub(r"(?m)^(\w*PASSWORD=)$$", lambda m: m[1] + secrets.token_hex(24), sys.stdin.read()))' \
	  < docker/.env.example > $@)

# One process more than there are cores: what waits (for servers to start, poolers, replicas) leaves its core to another.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(4, len(os.sched_getaffinity(0)) + 1))')
PYTEST = $(if $(EXAMPLES),ENTASIS_TEST_EXAMPLES=$(EXAMPLES)) $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile

# Whoever names tests waits for those alone: `make test ARGS=tests/contract/candles`.
test: $(DEV) ## Run lint and every test but the long ones, on every server (EXAMPLES=40 ARGS=tests/...)
	@$(if $(ARGS),,$(MAKE) --no-print-directory --jobs=2 lint)
	@$(PYTEST) $(ARGS)

test-all: $(DEV) ## The same and the long ones, which have servers of their own (SHORT=1: fewer rounds)
	@$(if $(ARGS),,$(MAKE) --no-print-directory --jobs=2 lint)
	@$(if $(SHORT),ENTASIS_TEST_SHORT=1) $(PYTEST) -m "" $(ARGS)

lint: lint-sql lint-style lint-format lint-types ## Check style and types: sqlfluff, ruff, mypy

lint-sql: $(DEV)
	@$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 schema migrations entasis_db/queries entasis_db/analysis

lint-style: $(DEV)
	@$(BIN)/ruff check

lint-format: $(DEV)
	@$(BIN)/ruff format --check

lint-types: $(DEV)
	@$(BIN)/mypy

hooks: $(DEV) ## Run lint before each commit of this checkout, and check its subject
	@$(BIN)/pre-commit install

format: $(DEV) ## Put the code into its form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(DEV) ## Measure: ratios side by side in one run (LINES=ingest,refresh SIZES=200000 PROFILE=ingest ARGS=--list)
	@$(BIN)/python -m bench $(if $(LINES),--lines $(LINES)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(SIZES),--sizes $(SIZES)) $(ARGS)

erd: $(DEV) ## Write the diagrams in docs/erd from the catalog of a new database
	@$(BIN)/python -m tests.erd

picture: $(DEV) ## Make docs/charts/report.png anew: the page of make demo, in Chromium
	@$(BIN)/python -m tests.picture

mutants: $(DEV) ## Plant small changes into the SQL of a subject, and see its tests fail (SUBJECT=floors ARGS=--most=20)
	@$(BIN)/python -m tests.mutants $(SUBJECT) $(ARGS)

soak: $(DEV) ## Run drawn histories against a model, until the time is over or one fails (SEED=1 MINUTES=10 ARGS=--plant=NAME)
	@$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

recovery-drill: $(DEV) ## Break a server and recover it by the pages of docs/recovery/ (SCENARIO=server-lost ARGS=--json)
	@$(BIN)/python -m drills $(SCENARIO) $(ARGS)

clean: ## Delete the virtual environment and what tools left behind; never data
	rm -rf $(VENV) tests/wasm/node_modules tests/erd/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Entasis DB needs Python 3.11 or later; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "making the virtual environment $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/pip
	@echo "installing entasis-db into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(DEV): pyproject.toml tests/wasm/package-lock.json | $(BIN)/pip
	@echo "installing entasis-db and what its tests need into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m tests.wasm
	@touch $(STAMP) $@
