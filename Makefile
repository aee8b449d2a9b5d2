# Keepwarm 守温.  `make run`: the demo town and its page.  `make test`: everything that must hold.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
PACKAGES := domain store collector compliance dashboard simulators keepwarm
WORKERS ?= 2
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --system-certs

# Bytecode is written even where the environment says otherwise: without it every process compiles its libraries anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test debian lint format types imports pytest bench chaos lock clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: .venv/.runtime ## .venv with the keepwarm command

setup-dev: .venv/.dev ## … and what checks and tests need

run: .venv/.runtime ## a simulated town, watched; prints the page's address
	@exec $(BIN)/keepwarm demo $(ARGS)

test: .venv/.dev debian lint types imports pytest ## lint, types, import rules, all tests

.venv/.runtime: requirements/runtime.txt requirements/tools.txt pyproject.toml .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup runtime

.venv/.dev: requirements/dev.txt requirements/tools.txt pyproject.toml .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup dev

debian:
	@.ci/debian

lint: .venv/.dev ## style and format, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.dev ## brings style and format in order where it can be done by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.dev ## mypy, strict, tests and benchmarks too
	$(BIN)/mypy $(PACKAGES) tests benchmarks

imports: .venv/.dev ## who may import whom
	$(BIN)/lint-imports

pytest: .venv/.dev ## the tests alone; ARGS="-k word" picks
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

bench: .venv/.dev ## speed, printed
	@for file in benchmarks/*.py; do case $$file in */chaos*|*/large*|*/viewers*) continue;; esac; echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

chaos: .venv/.dev ## everything that can die does, for half an hour; ARGS="--minutes 5 --seed 7"
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

lock: .venv/.dev ## compiles requirements/*.in to hashed, pinned lists
	$(LOCK) requirements/runtime.in -o requirements/runtime.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) requirements/tools.in -o requirements/tools.txt

clean: ## removes what was made here
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
