# The two commands are `make run` and `make test`; each does the set-up it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-bench test-kills audit lint docs wheel bundle test-bundle venv

# Opens the window; where there is no display, runs the demo.
run: venv
	@if [ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; \
	then $(BIN)/plum-desktop; \
	else $(BIN)/plum-desktop demo; fi

# Three at a time, file by file in their order: the longest ones first, which build the bundle and
# train on one core.
test: lint
	@$(BIN)/pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# Our own conversations learned and asked about, life as it is, what was forgotten, runs spoiled on
# purpose: an hour more.
test-bench: venv
	@$(BIN)/pytest -o addopts=--import-mode=importlib -o faulthandler_timeout=0 \
		tests/e2e/test_bench.py tests/e2e/test_life.py tests/e2e/test_forgetting.py \
		tests/e2e/test_backends.py tests/learning/test_spoiled_runs.py \
		tests/learning/test_mlx_starter.py tests/cli/test_bench_models.py

# Processes killed at random moments of a scripted life, and everything looked for after each.
test-kills: venv
	@PLUM_KILLS=$${PLUM_KILLS:-300} $(BIN)/pytest -s -o faulthandler_timeout=0 \
		tests/reliability/test_kills.py

# Known holes in what is pinned; asks a database on the internet, so no part of `make test`.
audit:
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/pip install --quiet pip-audit
	@.venv/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# The documents as web pages; whatever leads nowhere fails.
docs: venv
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	@$(BIN)/sphinx-build -q -W --keep-going -n -c docs . build/docs
	@echo "build/docs/docs/index.html"

# Wheel and sdist in dist/, the wheel tried in an environment of its own.
wheel: venv
	@$(BIN)/python packaging/wheel.py

# What needs no Python: a folder, and what this system installs from, in dist/.
bundle: venv
	@$(BIN)/python packaging/build.py

# The demo learned in the bundle that was built; `make test` has built one and used it briefly.
test-bundle: venv
	@$(BIN)/python packaging/smoke.py dist/plum-desktop --demo 332489

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

venv:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON); install Python 3.11 or later, \
	or run make PYTHON=NAME with the name it has here." >&2; exit 1; }
	@$(PYTHON) scripts/setup.py $(SETUP)

# The window's tests need Qt even where there is no display.
test lint: SETUP := --with-qt
