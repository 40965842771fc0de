# The commands of the project. `make sweep` and `make test` work first and alone on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Two rank processes and Ray share the machine: one thread of BLAS each.
export OMP_NUM_THREADS ?= 1

.PHONY: help sweep test test-slow check browser bench bench-gpu bench-search clean

help:
	@echo "make sweep      install into $(VENV) and run the quickstart sweep to its end"
	@echo "make test       install what the tests need and run them"
	@echo "make test-slow  the long tests"
	@echo "make check      ruff, mypy (strict), import-linter"
	@echo "make browser    Debian's Chromium where one may install it, for the tests that look at reports"
	@echo "make bench      the benchmarks, side by side with what a user would pick instead"
	@echo "make bench-gpu  the engine on a GPU: images/s, time to 90 % on CIFAR-10, trials an hour, memory"
	@echo "make bench-search  the arena: the search algorithms, side by side with others'"

# The stamps stand for "installed as these two files say"; .run has what the recipes need.
$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Starling needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[xgboost]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,s3,dashboard,optimizers,xgboost,zuko,gcp]'
	@touch $@

# Syne Tune alone: it requires the package xgboost, which brings 480 MB for GPUs and the same folder as xgboost-cpu.
$(VENV)/.arena: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[arena]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps syne-tune
	@touch $@

# Alone: it requires torchvision, which asks for PyTorch's builds for GPUs, and accelerate; a training step needs neither.
$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps denoising-diffusion-pytorch einops ema-pytorch
	@touch $@

sweep: $(VENV)/.run
	$(BIN)/starling run sweeps/recipes/quickstart.py

# Half of the tests' time is waiting for Rays to start, so that two files at a time fit into two cores.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ends well in any case: without a browser the tests that need one skip, and say so.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  if command -v $$name; then exit 0; fi; done; \
	as=; if [ "$$(id -u)" != 0 ]; then as="sudo -n"; fi; \
	if ! command -v apt-get >/dev/null; then why="there is no apt-get here"; \
	elif ! $$as true 2>/dev/null; then why="apt-get needs root"; \
	elif $$as timeout 600 sh -c 'export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends chromium' >/dev/null 2>&1; then command -v chromium; exit 0; \
	else why="apt-get cannot install chromium"; fi; \
	echo "no browser: $$why. Install Chromium or Chrome by hand to have reports looked at; all else works."

bench-search: $(VENV)/.arena
	for suite in lcbench lcbench-100 asha-4 asha-1 synthetic; do \
	  $(BIN)/python -m benchmarks.arena $$suite && $(BIN)/python -m benchmarks.arena $$suite --table --write; done

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

# An environment that is there is used as it is: it may have a PyTorch of its own for the GPU.
bench-gpu: $(if $(wildcard $(BIN)/python),,$(VENV)/.run)
	$(BIN)/python -m benchmarks.gpu

clean:
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
