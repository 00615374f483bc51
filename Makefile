# Everything starts from a bare checkout: each target first installs what is missing.
# `make up` needs Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN_VENV := .venv/bin
PYTEST_ARGUMENTS ?=
TEMPLATES = $(shell find templates -name '*.html' 2>/dev/null)

.PHONY: up stop test chaos check format clean ready ready-dev chromium

up: ready ## Start everything here; Ctrl-C ends it
	@exec $(IN_VENV)/python -m config.up

stop: ready ## End what `make up` started, from any terminal
	@$(IN_VENV)/python -m config.running

# A worker more than cores, for the journeys mostly wait; more threads would wait for one another.
test: export OMP_NUM_THREADS = 1
test: export OMP_WAIT_POLICY = passive
test: ready-dev chromium ## Run the whole suite against servers of its own
	@$(IN_VENV)/pytest -n 3 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGUMENTS)

chaos: ready-dev ## Five minutes of killing everything, then every row and bill is checked
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-300} CHAOS_JOBS=$${CHAOS_JOBS:-20} \
	  $(IN_VENV)/pytest -s tests/journeys/test_chaos.py $(PYTEST_ARGUMENTS)

check: ready-dev ## Format, lint, types, contracts, migrations
	@$(IN_VENV)/ruff format --check --quiet .
	@$(IN_VENV)/ruff check --quiet .
	@$(if $(TEMPLATES),$(IN_VENV)/djade --target-version 5.2 --check $(TEMPLATES))
	@$(IN_VENV)/mypy .
	@$(IN_VENV)/lint-imports
	@$(IN_VENV)/python manage.py makemigrations --check --dry-run

format: ready-dev ## Rewrite code and templates in the house format
	@$(IN_VENV)/ruff check --fix --quiet . || true
	@$(IN_VENV)/ruff format --quiet .
	@$(if $(TEMPLATES),$(IN_VENV)/djade --target-version 5.2 $(TEMPLATES))

clean: ## Remove all that was installed and made, data included
	@if [ -x $(IN_VENV)/python ]; then \
	  $(IN_VENV)/python -m config.running && $(IN_VENV)/python -m config.embedded erase; fi
	@rm -rf .venv node_modules var .mypy_cache .ruff_cache .import_linter_cache

ready:
	@$(PYTHON) config/bootstrap.py

ready-dev:
	@$(PYTHON) config/bootstrap.py --dev

# The journeys drive a real browser. Only root can install one; without it they are skipped, loudly.
chromium:
	@if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing chromium for the browser tests."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	      >/dev/null 2>&1 || echo "WARNING: chromium could not be installed; browser tests are skipped."; \
	  else echo "WARNING: no chromium here; browser tests are skipped."; fi; fi
