# Everything on a fresh machine with python3 (3.11 or newer) and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format lint types imports quick soak bench-peers bench-table clean

demo: .venv/.installed
	$(BIN)/arena demo

# Tests of processes and terminals may meet a machine that stands still for a while: what fails is tried twice more,
# and the last line says how many that were.
test: lint imports
	$(BIN)/pytest -n 2 --reruns 2

check: format lint types imports quick

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.installed
	$(BIN)/mypy

imports: .venv/.installed
	$(BIN)/lint-imports

quick: .venv/.installed
	$(BIN)/pytest -n 2 -m "not slow"

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Arena needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q arena agents envs tui
	touch $@

bench-table:
	$(BIN)/python benchmarks/table.py

soak: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak_league_kill.py --kills 20
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak_app.py --minutes 30

bench-peers: .venv-peers/.installed

.venv-peers/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/peers/requirements.txt
	touch $@

clean:
	rm -rf .venv .venv-peers build dist *.egg-info
