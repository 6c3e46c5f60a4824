# The two commands are `make run` and `make test`; each does the set-up it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-bench lint wheel bundle test-bundle venv

# Opens the window; where there is no display, runs the demo.
run: venv
	@if [ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; \
	then $(BIN)/plum-desktop; \
	else $(BIN)/plum-desktop demo; fi

test: lint
	@$(BIN)/pytest

# Our own conversations learned and asked about, life as it is, runs spoiled on purpose: an hour more.
test-bench: venv
	@$(BIN)/pytest -o addopts=--import-mode=importlib tests/e2e/test_bench.py tests/e2e/test_life.py \
		tests/learning/test_spoiled_runs.py

# Wheel and sdist in dist/, the wheel tried in an environment of its own.
wheel: venv
	@$(BIN)/python packaging/wheel.py

# What needs no Python: a folder, and what this system installs from, in dist/.
bundle: venv
	@$(BIN)/python packaging/build.py

# Chat, learn, merge, export, the window: all of it inside the bundle.
test-bundle: venv
	@$(BIN)/python packaging/smoke.py dist/plum-desktop

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

venv:
	@$(PYTHON) scripts/setup.py $(SETUP)

# The window's tests need Qt even where there is no display.
test lint: SETUP := --with-qt
