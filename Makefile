# Every target makes what it needs: a virtual environment in $(VENV) with the versions of constraints.txt.
#   make demo        the main job on real data          make lint        ruff
#   make test        the test suite                     make typecheck   mypy
#   make test-slow   the tests marked slow              make bench       list and run the benchmarks
#   make test-oldest the tests of what meets scikit-learn, with the oldest versions of all but PyTorch
#   make docs        the site, in docs/_build/html
#   make clean       remove caches and build output     make distclean   ... and the environment
# Options:  PYTHON=python3.12   the interpreter that a new environment is made with
#           VENV=.venv312       where the environment lies
#           ARGS="..."          passed on to the program, e.g. make test ARGS="-k solvers -x"

SHELL := bash
PYTHON ?= python3
VENV = .venv
ARGS ?=
# Test processes, one thread each. One file stays in one process: its fits are fixtures that tests share.
PARALLEL ?= -n auto --maxprocesses 8 --dist loadfile
PY := $(VENV)/bin/python

# Small networks gain little from a second thread, and lose a factor of twenty with it where cores are shared.
OMP_NUM_THREADS ?= 1
OPENBLAS_NUM_THREADS ?= 1
MKL_NUM_THREADS ?= 1
# Threads that wait by sleeping, not by spinning: on busy cores the difference is a factor of a hundred.
export OMP_WAIT_POLICY ?= PASSIVE
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One line for each package as it arrives; errors go to the screen whole.
PIP_INSTALL := set -o pipefail; $(PY) -m pip install -c constraints.txt
SHOW := while read -r line; do case "$$line" in \
	*.metadata*) ;; \
	Downloading\ *|Using\ cached\ *) printf '  %.100s\n' "$$line" ;; esac; done

# Never clear a folder that is no virtual environment.
OURS := test ! -e "$(VENV)" -o -e "$(VENV)/pyvenv.cfg" || { echo "$(VENV) is no virtual environment; choose another VENV" >&2; exit 1; }

.PHONY: help demo test test-slow test-oldest lint typecheck docs bench clean distclean
.DELETE_ON_ERROR:

help:
	@sed -n '/^# *make/s/^#//p; /^# *Options/,/^$$/s/^#//p' Makefile

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "No interpreter '$(PYTHON)' found. Install Python 3.10 or later, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and "sktgdp needs Python 3.10 or later, but $(PYTHON) is %d.%d. Name another one: make PYTHON=/path/to/python" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks the module venv or ensurepip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(OURS)
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)

# Runtime and plotting: all that the demo needs. PyTorch goes first and alone, at its pinned version.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(PY)
	@echo "Installing PyTorch (some hundred megabytes the first time)"
	@$(PIP_INSTALL) torch | $(SHOW)
	@echo "Installing sktgdp with what it runs on"
	@$(PIP_INSTALL) -e ".[plot]" | $(SHOW)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools"
	@$(PIP_INSTALL) -e ".[dev,plot,pandas,timeseries,cli]" | $(SHOW)
	@touch $@

demo: $(VENV)/.runtime
	$(PY) -u examples/demo.py $(ARGS)

test: $(VENV)/.dev
	$(PY) -m pytest $(PARALLEL) $(ARGS)

test-slow: $(VENV)/.dev
	$(PY) -m pytest -m slow $(ARGS)

CONTRACT := test_common.py test_augmentation.py test_frames.py test_preprocessing.py test_mixed_types.py \
	test_mixed_type_columns.py test_model_selection.py test_packing.py test_scorers.py test_search.py

# The oldest numpy and pandas have no wheels for Python 3.12 and later.
$(VENV)/.oldest: oldest.txt $(VENV)/.dev
	@$(PY) -c 'import sys; sys.exit(sys.version_info >= (3, 12) and "make test-oldest needs Python 3.10 or 3.11: make test-oldest PYTHON=python3.11 VENV=.venv311")'
	@echo "Installing the oldest versions beside the other packages"
	@rm -rf $(VENV)/oldest
	@$(PY) -m pip install --quiet --no-deps --target $(VENV)/oldest -r oldest.txt
	@touch $@

test-oldest: export PYTHONPATH := $(VENV)/oldest
test-oldest: $(VENV)/.oldest
	@$(PY) -c 'import numpy, sklearn; assert (numpy.__version__, sklearn.__version__) == ("1.24.4", "1.6.1")'
	$(PY) -m pytest $(PARALLEL) $(wildcard $(addprefix tests/,$(CONTRACT)) $(addprefix tests/estimators/,$(CONTRACT)) \
		$(addprefix tests/metrics/,$(CONTRACT))) $(ARGS)

lint: $(VENV)/.dev
	$(PY) -m ruff check $(ARGS) .
	$(PY) -m ruff format --check --quiet .

typecheck: $(VENV)/.dev
	$(PY) -m mypy $(ARGS)

$(VENV)/.docs: $(VENV)/.dev
	@echo "Installing what the documentation is built with"
	@$(PIP_INSTALL) -e ".[docs]" | $(SHOW)
	@touch $@

# A warning is an error. GALLERY=0 leaves the scripts of the gallery unexecuted: no pictures, but in a minute.
GALLERY ?= 1
docs: $(VENV)/.docs
	MPLBACKEND=Agg $(PY) -m sphinx -E -W --keep-going -q -b html -D plot_gallery=$(GALLERY) $(ARGS) docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.dev
	$(PY) -u -m benchmarks $(ARGS)

clean:
	rm -rf build dist docs/_build docs/api/generated docs/auto_examples htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find sktgdp tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@$(OURS)
	rm -rf $(VENV)
