# Every target installs its requirements on first use: uv in .tools, the packages in .venv, both
# from hash-locked files. A machine needs Python 3.11 or newer and make; nothing else.
# Compile the packages during installation: with PYTHONDONTWRITEBYTECODE, as in many containers,
# every start would otherwise compile them again, which takes longer than the start itself.

PYTHON ?= python3
ARGS ?=
COVERAGE = term-missing:skip-covered

# Use the machine's Python and certificates, never a downloaded interpreter.
export UV_PYTHON_DOWNLOADS = never
export UV_PYTHON_PREFERENCE = only-system
export UV_SYSTEM_CERTS = true
# Without a writable home, as in a container with an arbitrary user id, keep uv's cache here.
ifneq ($(shell [ -w "$$HOME" ] && echo yes),yes)
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache
endif

BIN := .venv/bin
UV := .tools/bin/uv
LOG := .tools/setup.log
# Each folder keeps a copy of the lock file that it was installed from, written last. If the copy is
# missing or differs, the folder is incomplete.
TOOLS_STAMP := .tools/installed.lock
VENV_STAMP := .venv/installed.lock

.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help setup run test test-kit record guides deploy-test e2e fuzz check fmt migrate bench lock hooks clean ready

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ready ## Install .tools and .venv from the lock files (PYTHON=python3.12 selects the interpreter)
	@echo "Ready: $$($(BIN)/python --version) in .venv. Start the application with: make run"

run: ready ## Serve the application with automatic reload (PORT=8123 for another port)
	@$(BIN)/python cli.py dev $(if $(PORT),--port $(PORT))

# One process per core: most tests wait.
EACH_CORE := -n auto --dist loadfile --no-loadscope-reorder
GUIDES := tests/docs tests/recipes tests/benchmarks

KIT_TESTS := mscr/tests examples/catalogue/tests examples/realworld/tests
KIT_COVERAGE := --cov --cov-config=mscr/tests/coverage.ini

# Only a complete run reaches the required coverage.
test: ready ## Run your tests, with coverage of app/ (ARGS="tests -k login" for some, without)
	@$(BIN)/python -m pytest $(or $(strip $(ARGS)),$(EACH_CORE) --cov --cov-report=$(COVERAGE))

test-kit: ready ## Run the kit's tests on examples/, with coverage of mscr/ (ARGS as for test)
	@$(BIN)/python -m pytest $(or $(strip $(ARGS)),$(KIT_TESTS) $(EACH_CORE) $(KIT_COVERAGE) \
	  --cov-report=$(COVERAGE))

record: ready ## Write tests/recorded_routes.toml: names, SQL statements and access of all routes
	@$(BIN)/python -m pytest tests/test_routes.py -k "as_recorded and sqlite" --record-routes -q --tb=short --show-capture=no $(ARGS)

# A recipe runs `make check` and other commands in one fixture, which takes minutes.
guides: ready ## Execute the recipes of README, AGENTS.md and docs/, and small benchmarks (ARGS as for test)
	@$(BIN)/python -m pytest --timeout 900 $(or $(strip $(ARGS)),$(GUIDES) $(EACH_CORE))

deploy-test: ready ## Run the tests behind installed poolers and proxies (QUICK=1 for the short ones)
	@$(BIN)/python -m pytest $(or $(strip $(ARGS)),mscr/tests/deploy $(if $(QUICK),-m "not long"))

e2e: ready ## Run the tests that need an installed browser or Node.js (ARGS as for test)
	@$(BIN)/python -m pytest $(if $(strip $(ARGS)),$(ARGS),mscr/tests/e2e)

fuzz: ready ## Send thousands of requests generated from OpenAPI (QUICK=1 for few, EXAMPLES=500 for more, SEED=1 to repeat)
	@$(if $(QUICK),,FUZZ_EXAMPLES=$(or $(EXAMPLES),100) FUZZ_SEED=$(SEED)) \
	  $(BIN)/python -m pytest tests/fuzz --timeout 0 -p no:randomly -vs $(ARGS)

step = @printf '\n== %s\n' '$(1)';

check: ready ## Format, lint, spelling, prose, .env.example, OpenAPI, types, layers, rooms, dependencies, locks, migrations, start
	$(call step,format) $(BIN)/ruff format --check .
	$(call step,lint) $(BIN)/ruff check .
	$(call step,spelling) $(BIN)/codespell
	$(call step,prose) $(BIN)/python -m checks.prose
	$(call step,.env.example) $(BIN)/python cli.py env-example --check
	$(call step,openapi) $(BIN)/python cli.py openapi --check
	$(call step,types) $(BIN)/mypy
	$(call step,types as editors see them) $(BIN)/basedpyright
	$(call step,layers) $(BIN)/lint-imports --no-logo
	$(call step,rooms) $(BIN)/python -m checks.rooms
	$(call step,public names of the kit) $(BIN)/python -m checks.public_names
	$(call step,the kit alone) $(BIN)/python -m checks.kit_alone
	$(call step,dependencies) $(BIN)/deptry --no-ansi .
	$(call step,locks) $(verify_locks)
	$(call step,released migrations) $(BIN)/python cli.py release-migrations --check
	$(call step,migrations) $(BIN)/python cli.py check-migrations
	$(call step,migrations of the examples) $(BIN)/python -m examples.catalogue check-migrations
	@$(BIN)/python -m examples.realworld check-migrations
	$(call step,locks of migrations) $(BIN)/python -m migrations.check_locks
	$(call step,imports at start) $(BIN)/python -m checks.import_budget
	@printf '\nAll checks passed.\n'

fmt: ready ## Apply the safe lint fixes and format the code
	@$(BIN)/ruff check --fix-only --show-fixes .
	@$(BIN)/ruff format .

migrate: ready ## Bring the database of DATABASE_URL to the newest migration
	@$(BIN)/alembic upgrade head

# Takes under a minute on an idle machine: workloads with much data or many servers are left out.
QUICK_WORKLOADS := throughput storm rotation startup
QUICK_SIZES := --rounds=1 --seconds=1 --refreshes=200 --sessions=20 --items=20000 --requests=500

bench: ready ## Measure the catalogue as it is served (QUICK=1, ARGS=storm for one; docs/performance.md)
	@$(BIN)/python -m benchmarks $(or $(ARGS),$(if $(QUICK),$(QUICK_WORKLOADS))) $(if $(QUICK),$(QUICK_SIZES))

lock: ready ## Write the lock files from pyproject.toml (ARGS=--upgrade for the newest releases)
	@$(call compile,.,$(ARGS))

hooks: ready ## Install the git hooks of .pre-commit-config.yaml
	@$(BIN)/prek install

clean: ## Delete .venv, .tools, caches and reports; keep .env and the databases
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  .coverage .coverage.* coverage.xml htmlcov build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- locks ------------------------------------------------------------------------------------
# Compiling over an existing lock file keeps its pins: new releases never change it unasked.
# The runtime lock is constrained by the development one: both hold the same versions.
# $(1): the folder that holds the locks, $(2): more options

uv_compile = $(UV) pip compile --quiet --universal --python $(BIN)/python --python-version 3.11 \
  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links

define compile
$(uv_compile) $(2) --group pyproject.toml:tools -o $(1)/requirements-tools.lock >/dev/null && \
$(uv_compile) $(2) --group pyproject.toml:client-generator -o $(1)/requirements-client.lock >/dev/null && \
$(uv_compile) $(2) pyproject.toml --group dev -o $(1)/requirements-dev.lock >/dev/null && \
$(uv_compile) $(2) pyproject.toml -c $(1)/requirements-dev.lock -o $(1)/requirements.lock >/dev/null
endef

# Try uv's cache first, without the network; use the index only if the cache is incomplete.
define verify_locks
set -eu; \
fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
cp requirements*.lock "$$fresh"; \
{ $(call compile,"$$fresh",--offline); } 2>/dev/null || { $(call compile,"$$fresh"); } || { \
  echo "error: uv could not compile pyproject.toml, so the lock files are not checked" >&2; exit 1; }; \
for lock in requirements*.lock; do \
  cmp -s "$$lock" "$$fresh/$$lock" || { \
    echo "error: $$lock does not match pyproject.toml; write it again with: make lock" >&2; exit 1; }; \
done; \
echo "The lock files match pyproject.toml."
endef

# --- set-up -----------------------------------------------------------------------------------

# Print the version of an environment's interpreter, if it finds its packages.
VERSION := import sys; any("site-packages" in p for p in sys.path) or sys.exit(1); print(sys.version)
venv_version = $(BIN)/python -c '$(VERSION)' 2>/dev/null
# If PYTHON is given, .venv must use it; otherwise any working interpreter is accepted.
asked_version = $(if $(filter file,$(origin PYTHON)),,$(PYTHON) -c 'import sys; print(sys.version)' 2>/dev/null)
venv_works = venv=$$($(venv_version)) $(if $(asked_version),&& [ "$$venv" = "$$($(asked_version))" ])

ready:
	@cmp -s requirements-tools.lock $(TOOLS_STAMP) && cmp -s requirements-dev.lock $(VENV_STAMP) && \
	  $(venv_works) || { $(bootstrap); }

define bootstrap
set -eu; \
die() { echo "error: $$1" >&2; exit 1; }; \
failed() { \
  reason=$$(grep -i -e '^ *error: ' -e '^ *cause: ' $(LOG) | tail -n 1 | sed 's/^ *[A-Za-z]*: //'); \
  die "$$1: $${reason:-it stopped} (is this machine online, or behind a proxy? all of it: $(LOG))"; \
}; \
find_python() { \
  command -v $(PYTHON) >/dev/null || \
    die "there is no $(PYTHON) here: install Python 3.11 or newer, or name one with PYTHON=..."; \
  found=$$($(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>&1) || \
    die "$(PYTHON) does not run: $$(echo "$$found" | head -n 1)"; \
  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    die "$(PYTHON) is Python $$found, and 3.11 or newer is needed: name one with PYTHON=..."; \
  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
    die "$(PYTHON) cannot make virtual environments: on Debian or Ubuntu, apt install python3-venv"; \
  python=$$($(PYTHON) -c 'import sys; print(sys._base_executable)'); \
}; \
cmp -s requirements-tools.lock $(TOOLS_STAMP) && $(UV) --version >/dev/null 2>&1 || { \
  find_python; \
  echo "Installing uv into .tools"; \
  rm -rf .tools; mkdir .tools; \
  "$$python" -m venv .tools >$(LOG) 2>&1 || failed "could not make .tools"; \
  .tools/bin/python -m pip install --disable-pip-version-check --require-hashes \
    -r requirements-tools.lock >>$(LOG) 2>&1 || failed "could not install uv"; \
  cp requirements-tools.lock $(TOOLS_STAMP); \
}; \
[ -f $(VENV_STAMP) ] && $(venv_works) || { \
  find_python; \
  rm -rf .venv; \
  $(UV) venv --relocatable --no-project --python "$$python" .venv >$(LOG) 2>&1 || \
    failed "could not make .venv"; \
}; \
cmp -s requirements-dev.lock $(VENV_STAMP) || { \
  echo "Installing the packages into .venv"; \
  rm -f $(VENV_STAMP); \
  $(UV) pip sync --python .venv --require-hashes --compile-bytecode requirements-dev.lock \
    >$(LOG) 2>&1 || \
    failed "could not install the packages"; \
  cp requirements-dev.lock $(VENV_STAMP); \
}
endef
