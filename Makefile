# Everything starts from a bare checkout: each target first installs what is missing.
# `make up` needs Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN_VENV := .venv/bin
PYTEST_ARGUMENTS ?=
TEMPLATES = $(shell find templates -name '*.html' -not -path 'templates/django/*' 2>/dev/null)

.PHONY: up stop backup restore test test-slow test-all test-long chaos screenshots lighthouse check format clean ready ready-dev chromium

up: ready ## Start everything here; Ctrl-C ends it
	@exec $(IN_VENV)/python -m config.local.dev_server

stop: ready ## End what `make up` started, from any terminal
	@$(IN_VENV)/python -m config.local.instance_lock

backup: ready ## Save database and files below TO (var/backups); more: docs/operating.md
	@$(IN_VENV)/python manage.py backup $(if $(TO),"$(TO)") $(if $(WITH_SECRETS),--with-secrets)

restore: ready ## Make an empty installation the copy of the one saved in FROM
	@$(IN_VENV)/python manage.py restore "$(or $(FROM),$(error Say which: make restore FROM=var/backups/lathe-…))"

# A worker more than cores, for the journeys mostly wait; more threads would wait for one another.
# Hundreds of processes start: each would compile everything anew where bytecode may not be kept.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(IN_VENV)/pytest -n 3 --dist loadgroup --no-loadscope-reorder --durations 25
test test-slow test-long: export OMP_NUM_THREADS = 1
test test-slow test-long: export OMP_WAIT_POLICY = passive

test: ready-dev chromium ## Run the quick suite against servers of its own
	@$(PYTEST) -m "not slow and not nightly" $(PYTEST_ARGUMENTS)

test-slow: ready-dev chromium ## Run what takes seconds each: trainings, whole products, browsers
	@$(PYTEST) -m "slow and not nightly" $(PYTEST_ARGUMENTS)

test-all: test test-slow test-long ## Run everything

test-long: ready-dev chromium ## Run what only a night has time for: nightly tests and the long chaos
	@$(PYTEST) -m nightly $(PYTEST_ARGUMENTS)
	@$(MAKE) --no-print-directory chaos

chaos: ready-dev ## Five minutes of killing everything, then every row and bill is checked
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-300} CHAOS_JOBS=$${CHAOS_JOBS:-20} \
	  $(IN_VENV)/pytest -s tests/journeys/test_chaos.py $(PYTEST_ARGUMENTS)

screenshots: ready-dev chromium ## Pictures of every page and state below var/screenshots
	@$(IN_VENV)/python -m tests.screenshots

lighthouse: ready-dev chromium ## Lighthouse on the main pages, on a desktop and on a phone
	@[ -d node_modules/lighthouse ] || { npm ci --no-audit --no-fund --ignore-scripts && \
	  sha256sum package-lock.json | cut -d ' ' -f 1 | tr -d '\n' >node_modules/.complete; }
	@$(IN_VENV)/python -m tests.lighthouse

check: ready-dev ## Format, lint, templates, types, contracts, migrations
	@$(IN_VENV)/ruff format --check --quiet .
	@$(IN_VENV)/ruff check --quiet .
	@$(if $(TEMPLATES),$(IN_VENV)/djade --target-version 5.2 --check $(TEMPLATES))
	@! LC_ALL=C.UTF-8 grep -rnE '.{141}' templates || { echo "Templates: no line above 140 characters."; exit 1; }
	@$(IN_VENV)/mypy .
	@$(IN_VENV)/lint-imports
	@$(IN_VENV)/python manage.py makemigrations --check --dry-run

format: ready-dev ## Rewrite code and templates in the house format
	@$(IN_VENV)/ruff check --fix --quiet . || true
	@$(IN_VENV)/ruff format --quiet .
	@$(if $(TEMPLATES),$(IN_VENV)/djade --target-version 5.2 $(TEMPLATES))

clean: ## Remove all that was installed and made, data included
	@if [ -x $(IN_VENV)/python ]; then \
	  $(IN_VENV)/python -m config.local.instance_lock && $(IN_VENV)/python -m config.local.embedded erase; fi
	@rm -rf .venv node_modules var .mypy_cache .ruff_cache .import_linter_cache

ready:
	@$(PYTHON) config/local/bootstrap.py

ready-dev:
	@$(PYTHON) config/local/bootstrap.py --dev

# The journeys drive a real browser. Only root can install one; without it they are skipped, loudly.
chromium:
	@if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing chromium for the browser tests."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	      >/dev/null 2>&1 || echo "WARNING: chromium could not be installed; browser tests are skipped."; \
	  else echo "WARNING: no chromium here; browser tests are skipped."; fi; fi
