# Thin on purpose: everything here can be typed by hand after `eval "$(python3 -m tools shell)"`.
STACK ?= dev
TEMPLATE ?= $(STACK)
PYTHON ?= python3
prepare = setup="$$($(PYTHON) -m tools shell)" && eval "$$setup"

.DEFAULT_GOAL := help
.PHONY: help tools python up down test check environments figures bench docs snapshots lock revision hooks

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## bring what this machine lacks: Python environment, Pulumi, Docker engine, base images
	@$(PYTHON) -m tools install

up: tools ## deploy, migrate, seed and back up a stack (STACK=dev, TEMPLATE=a file of environments/)
	@$(prepare) && python3 -m tools stack '$(STACK)' --template '$(TEMPLATE)' \
	  && pulumi up --stack '$(STACK)' --yes --skip-preview && pgstack status --stack '$(STACK)'

down: tools ## destroy a stack; asks first, YES=1 does not (STACK=dev)
	@[ -n "$(YES)" ] || [ -t 0 ] || { echo "make down asks first, and there is no terminal: make down STACK=$(STACK) YES=1" >&2; exit 2; }
	@$(prepare) && pgstack recover --quiet --stack '$(STACK)' && pulumi destroy --stack '$(STACK)' $(if $(YES),--yes --skip-preview)

check: python ## formatting, lint (of migrations too), types and the tests that need no Docker; under a minute
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/pgstack migrate lint
	@.venv/bin/pytest -n 2 tests/unit tests/infra

test: tools ## everything: check, then a real Postgres and real deployments; brings what it needs
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/pgstack migrate lint
	@.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/stack tests/db tests/infra tests/unit

environments: tools ## the data layer's tests in each environment of docs/environments.md; `make test` runs the rest there
	@.venv/bin/pytest -n 2 --dist loadfile tests/db --environment all

python:
	@$(PYTHON) -m tools python

figures: tools ## measure README's figures on this machine; COLD=1 also builds everything from nothing
	@.venv/bin/python -m tests.figures $(if $(COLD),--cold)

bench: tools ## what db/, migrations, backups and restores cost, beside raw psycopg and plain copies; after a `make up`
	@.venv/bin/python -m tests.bench && .venv/bin/python -m tests.migration_figures && .venv/bin/python -m tests.restore_figures

docs: python ## write what is generated: docs/schemas, docs/drizzle, docs/requirements.md, docs/faults.md
	@.venv/bin/python -m db.diagrams && .venv/bin/python -m db.drizzle && .venv/bin/python -m tests.requirements && .venv/bin/python -m tests.faults

snapshots: tools ## write alembic/versions/<app>/schema.json, what drift is judged by; after a `make up`
	@.venv/bin/python -m tests.snapshots

lock: python ## pin requirements.in again, with every hash, into requirements.txt
	@test -x .venv/lock/bin/uv || { .venv/bin/python -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv; }
	@.venv/lock/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 \
	  --prerelease=if-necessary-or-explicit requirements.in -o requirements.txt

hooks: ## refuse a commit whose migrations do not pass the fast gates
	@git config core.hooksPath .githooks

revision: python ## a new migration (APP=dovvybuddy MESSAGE="add slug")
	@.venv/bin/pgstack migrate revision $(APP) "$(MESSAGE)"
