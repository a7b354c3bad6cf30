# Every target does its own set-up: a virtual environment in .venv, made again when pyproject.toml changes.
# Needs only make and Python >= 3.11. Choose an interpreter with `make test PYTHON=/path/to/python3`.

SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo/t-dxd-scaffold
PYTEST_ARGS ?=
# Processes that share the tests, file by file; JOBS=0 for one alone.
JOBS ?= 2
MINUTES ?= 60
# What to install besides the package; nvrtc lets the tests compile the CUDA kernels for every architecture without a GPU.
EXTRAS ?= test,dev

# Idle threads sleep instead of spinning, so that two jobs can share a machine.
export OMP_WAIT_POLICY ?= PASSIVE
export MPLBACKEND ?= Agg

.PHONY: help demo test test-gpu validate fuzz lint format bench bench-gpu sanitize-gpu gpu-wheels clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      run the T-DXd study on a printed scaffold; leaves a picture and a summary in $(DEMO)"
	@echo "make test      run the tests"
	@echo "make validate  run the long comparisons with independent solutions and with the literature"
	@echo "make fuzz      fuzz the readers of files (MINUTES=60); inputs of findings are left in .fuzz"
	@echo "make lint      ruff and mypy"
	@echo "make bench     measure speed; writes benchmarks/results/DATE-*.json (needs a quiet machine; FIGURES='main lod' for some)"
	@echo "make test-gpu  run the tests on a GPU; fails where there is none"
	@echo "make sanitize-gpu  run them under compute-sanitizer (TOOL=memcheck, racecheck, initcheck or synccheck)"
	@echo "make bench-gpu measure speed on a GPU; writes benchmarks/results/DATE-gpu.json"
	@echo "make clean     remove the environment, caches and demo output"

$(STAMP): pyproject.toml
	@python="$(PYTHON)"; \
	fits() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if [ -n "$$python" ]; then \
	    fits "$$python" || { echo "make: PYTHON=$$python is not a Python >= 3.11 that runs here." >&2; exit 1; }; \
	else \
	    for candidate in python3 python3.13 python3.12 python3.11; do \
	        if fits $$candidate; then python=$$candidate; break; fi; \
	    done; \
	fi; \
	if [ -z "$$python" ]; then \
	    echo "make: no Python >= 3.11 found (tried python3, python3.13, python3.12, python3.11)." >&2; \
	    echo "      Install one, or name it: make test PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$python -V) ..."; \
	if [ ! -x $(BIN)/python ] || ! fits $(BIN)/python; then \
	    "$$python" -m venv --clear $(VENV) || { \
	        echo "make: '$$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)
	@rm -rf $(DEMO)
	@mkdir -p $(dir $(DEMO))
	$(BIN)/payloadfield run seeds/t-dxd-scaffold/study.toml -o $(DEMO)
	$(BIN)/payloadfield plot $(DEMO)
	@pictures=$$(find $(DEMO) -name '*.png' | sort); \
	if [ -z "$$pictures" ]; then echo "make: the run finished but no picture was written" >&2; exit 1; fi; \
	echo; echo "Run directory: $(CURDIR)/$(DEMO)"; \
	for picture in $$pictures; do echo "Picture:       $(CURDIR)/$$picture"; done

test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

validate: $(STAMP)
	$(BIN)/python -m pytest -m validate -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

# atheris is optional: where its wheel does not install, all the time goes to blind mutations.
fuzz: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]' \
	    || echo "make: atheris did not install; fuzzing without its guidance" >&2
	nice $(BIN)/python -m tests.fuzz.run $(MINUTES) .fuzz

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The peers are optional: where their wheels do not install, the results say so.
bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[peers]' \
	    || echo "make: the peers (py-pde, FiPy, sme) did not install; measuring without them" >&2
	$(BIN)/python -m benchmarks.run $(FIGURES)

# On a machine with a GPU. PYTHON_GPU is the interpreter that has CuPy: that of .venv after `pip install -e .[cuda13,test]`,
# or a bare one with numpy, cupy, numba, h5py, scipy, click and pytest; what it lacks is carried in .wheels (gpu-wheels).
PYTHON_GPU ?= $(shell test -x $(BIN)/python && $(BIN)/python -c 'import cupy' 2>/dev/null && echo $(BIN)/python || echo python3)
GPU_ENV := PYTHONPATH=src:.:$(wildcard .wheels/site) PAYLOADFIELD_REQUIRE_GPU=1
GPU_SIZES ?= 64,128,256

test-gpu:
	$(GPU_ENV) $(PYTHON_GPU) -m pytest -o addopts="-ra --import-mode=importlib" tests/gpu $(PYTEST_ARGS)

# Launch by launch, and every array a piece of memory of its own, so that memcheck sees what lies beyond its end.
# The small cases, which launch every kernel; SANITIZED=tests/gpu for all tests.
TOOL ?= memcheck
SANITIZED ?= tests/gpu -k "every_kernel and not large"

sanitize-gpu:
	$(GPU_ENV) PAYLOADFIELD_GRAPHS=0 PAYLOADFIELD_GPU_POOL=0 compute-sanitizer --tool $(TOOL) --target-processes all --error-exitcode 1 \
	    $(PYTHON_GPU) -m pytest -o addopts="-ra --import-mode=importlib" $(SANITIZED) -x $(PYTEST_ARGS)

bench-gpu:
	$(GPU_ENV) $(PYTHON_GPU) -m benchmarks.gpu --sizes $(GPU_SIZES) -o benchmarks/results/$$(date +%F)-gpu.json

# Pure Python wheels that a bare machine lacks, unpacked where test-gpu and bench-gpu find them; for machines without a network.
gpu-wheels:
	$(or $(PYTHON),python3) -m pip install --quiet --no-deps --target .wheels/site pint flexcache flexparser platformdirs typing_extensions \
	    rich markdown-it-py mdurl pygments

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf src/*.egg-info
