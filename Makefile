# `make help` lists the targets. Works with GNU make 3.81 and newer.
PYTHON ?= python3
PARTS ?= /run/codeact-parts
ARGS ?=
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras --group build --upgrade --quiet \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run test lint bench lock parts parts-down run-env dev-env

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: run-env ## Install what is needed and open the terminal chat, with the web chat beside it
	@exec $(BIN)/codeact-bot chat $(ARGS)

test: dev-env ## Run all tests; ARGS="tests/agent -k stuck" picks some
	@[ -n "$$DOCKER_HOST" ] || [ ! -r $(PARTS)/env ] || . $(PARTS)/env; exec $(BIN)/pytest $(ARGS)

lint: dev-env ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: dev-env ## Measure speed, side by side with the bare limit
	@[ -n "$$DOCKER_HOST" ] || [ ! -r $(PARTS)/env ] || . $(PARTS)/env; exec $(BIN)/python -m benchmarks $(ARGS)

lock: dev-env ## Write requirements/*.txt anew, with the newest versions
	@$(LOCK) --group dev --output-file requirements/dev.txt
	@$(LOCK) --constraints requirements/dev.txt --output-file requirements/run.txt
	@for part in peers peers-image; do $(BIN)/uv pip compile benchmarks/$$part.in --universal --python-version 3.11 --upgrade --quiet --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' --output-file requirements/$$part.txt; done

parts: ## Start Docker with gVisor and install what else the tests need (Debian, as root)
	@.ci/parts up $(PARTS)

parts-down: ## Stop what `make parts` started
	@.ci/parts down $(PARTS)

run-env dev-env: %-env:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) scripts/environment.py $*
