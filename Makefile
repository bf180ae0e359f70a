# Every target makes .venv by itself; all it needs is Python 3.11 or newer, git and make.
# Another interpreter: make demo PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.14 python
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PACKAGING := pyproject.toml constraints.txt
PARALLEL := -n auto --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help demo demo-images test test-engines lint check docs constraints clean
.DELETE_ON_ERROR:

help:
	@echo "make demo         install, run the main job on a real contaminated table, write a report"
	@echo "make demo-images  the same on photos of a product, with heat maps"
	@echo "make test         install, run the tests"
	@echo "make test-engines install Ray, Dask, Spark and test servers, run the tests that need them"
	@echo "make lint         ruff, formatting, mypy"
	@echo "make check        lint, and the tests with branch coverage: what a change must pass"
	@echo "make docs         build the user guide into site/"
	@echo "make constraints  write the versions in $(VENV) to constraints.txt"
	@echo "make clean        remove $(VENV) and everything built"

demo: $(VENV)/.installed-demo
	$(BIN)/expose demo

demo-images: $(VENV)/.installed-demo-images
	$(BIN)/expose demo --images

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST)

test-engines: $(VENV)/.installed-engines
	$(BIN)/python -m pytest tests/engines --engines $(PYTEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term $(PYTEST)

docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict

constraints: $(VENV)/.installed-dev
	@{ head -1 constraints.txt; \
	   $(BIN)/python -m pip freeze --exclude-editable | grep '==' | grep -vE '^(pip|setuptools)==' | sed 's/+cpu$$//'; \
	 } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) dist site .coverage .mypy_cache .ruff_cache .pytest_cache

# --- installing: one stamp file per set of extras, renewed when the packaging files change ---

$(VENV)/.installed-demo: EXTRAS := report
$(VENV)/.installed-demo-images: EXTRAS := report,images
$(VENV)/.installed-test: EXTRAS := test
$(VENV)/.installed-dev: EXTRAS := dev
$(VENV)/.installed-engines: EXTRAS := engines
$(VENV)/.installed-%: $(PACKAGING) | $(BIN)/python
	@echo "Installing expose[$(EXTRAS)] into $(VENV); the first time takes some minutes, mostly for PyTorch."
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),$(CANDIDATES)); do \
	   if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	     echo "Making $(VENV) with $$($$python --version)."; \
	     exec $$python -m venv --clear $(VENV); \
	   fi; \
	 done; \
	 echo "expose needs Python 3.11 or newer with its venv module; none of these is one: $(or $(PYTHON),$(CANDIDATES))." >&2; \
	 echo "What python3 is here: $$(python3 --version 2>&1 | head -1)." >&2; \
	 echo "Install a newer Python (on Debian and Ubuntu: apt install python3.11 python3.11-venv)," >&2; \
	 echo "or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	 exit 1
