# make install: a virtual environment in .venv.  make run: the main job.  make test: the tests.
# Each target installs first if pyproject.toml or constraints.txt changed.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# not compiled: of the thousands of files that come, Python compiles those that are ever imported
PIP := $(VENV)/bin/pip install --quiet --no-compile --constraint constraints.txt

.PHONY: install run test lint clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "torch==2.13.0"
	$(PIP) --editable ".[dev]"
	touch $(STAMP)

run: $(STAMP)
	$(VENV)/bin/nas run quickstart

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --num-workers 2
	$(VENV)/bin/lint-imports

# one thread a process: two threads beside other load make small operators many times slower
test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest --numprocesses auto --dist worksteal

clean:
	rm -rf $(VENV) results/runs
