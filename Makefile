# make install: a virtual environment in .venv.  make run: the main job.  make test: the tests.
# Each target installs first if pyproject.toml or constraints.txt changed.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: install run test lint clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

run: $(STAMP)
	$(VENV)/bin/nas run quickstart

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# one thread a process: two threads beside other load make small operators many times slower
test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest --numprocesses auto --dist worksteal

clean:
	rm -rf $(VENV) results/runs
