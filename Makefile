# `make` alone lists the targets. Everything works without make, too:
#   pip install -r requirements.txt && python launch.py --config=...

# The Python that .venv is made from: make setup PYTHON=python3.12
PYTHON = python3
# The list to install. Empty: requirements-cuda.txt where nvidia-smi lists a GPU,
# requirements.txt elsewhere. To leave a GPU alone: REQUIREMENTS=requirements.txt
REQUIREMENTS =
# How the tests are shared out: a worker a core, up to 8, each of which compiles for
# itself; one that is done takes over what others have not begun. In one process: TESTS=
TESTS = -n auto --maxprocesses=8 --dist=worksteal
# More arguments for launch.py: make run ARGS="--plan --config.seed=3"
ARGS =

VENV_PYTHON = .venv/bin/python

.PHONY: help setup run test test-extras test-all lint format docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: .venv/.installed ## make .venv and install what running needs
	@echo "Ready: $(VENV_PYTHON)"

run: .venv/.installed ## train the first ensemble; ARGS="..." adds to its arguments
	$(VENV_PYTHON) launch.py --config=configs/vgg_ensemble.py $(ARGS)

test: lint ## ruff, pyright, and every test but those slow, for a GPU or of extras
	$(VENV_PYTHON) -m pytest --complete $(TESTS)

test-extras: .venv/.installed-extras ## the tests that need extras: streaming with grain, TensorBoard, ONNX, torchvision, S3
	$(VENV_PYTHON) -m pytest $(TESTS) -m "extras and not slow and not gpu"

test-all: lint .venv/.installed-extras ## the slow tests too, with more random clusters and faults: half a day
	XLA_FLAGS= MOTHERNETS_JAX_CLUSTERS=200 MOTHERNETS_JAX_FUZZ=2000 MOTHERNETS_JAX_KILLS=100 \
	MOTHERNETS_JAX_EVERY_WRITE=1 MOTHERNETS_JAX_DAMAGES=1000 $(VENV_PYTHON) -m pytest --complete $(TESTS) -m "not gpu"

lint: .venv/.installed-dev ## ruff and pyright alone
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m pyright

format: .venv/.installed-dev ## let ruff mend what it can
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

docs: .venv/.installed-docs ## build the documentation into site/ and run its notebooks
	PYTHONPATH="$(CURDIR)" NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict

clean: ## remove .venv, caches and build files; runs/ stays
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist site ./*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Setting up. Stamp files mark a finished installation; a list of requirements newer than
# its stamp is installed again.

HAVE_UV = command -v uv >/dev/null 2>&1
INSTALL = install() { \
	    if $(HAVE_UV); \
	    then uv pip install --quiet --python $(VENV_PYTHON) -r "$$1"; \
	    else $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r "$$1"; \
	    fi; \
	}; install

.venv/.installed: requirements.txt requirements-cuda.txt $(VENV_PYTHON)
	@if $(HAVE_UV); then usable="import sys"; else usable="import pip"; fi; \
	$(VENV_PYTHON) -c "$$usable" 2>/dev/null && exit 0; \
	rm -rf .venv; \
	version=$$("$(PYTHON)" -c "import sys; print(sys.version.split()[0])") || { \
	    echo "$(PYTHON) does not run. Python 3.11 or newer is needed:" \
	        "make setup PYTHON=/path/to/python3" >&2; exit 1; }; \
	"$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	    echo "$(PYTHON) is Python $$version, and 3.11 or newer is needed. Where there" \
	        "is one: make setup PYTHON=python3.12" >&2; exit 1; }; \
	echo "Making .venv with Python $$version ..."; \
	if $(HAVE_UV); then \
	    python=$$("$(PYTHON)" -c "import sys; print(sys.executable)"); \
	    uv venv --quiet --python "$$python" .venv; \
	elif "$(PYTHON)" -c "import ensurepip" 2>/dev/null; then \
	    "$(PYTHON)" -m venv .venv; \
	else \
	    echo "$(PYTHON) cannot make virtual environments, for want of its module" \
	        "ensurepip. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
	fi
	@list="$(REQUIREMENTS)"; \
	if [ -z "$$list" ]; then \
	    if nvidia-smi -L 2>/dev/null | grep -q "^GPU "; \
	    then list=requirements-cuda.txt; else list=requirements.txt; fi; \
	fi; \
	echo "Installing $$list into .venv (CPU: about a minute; CUDA: several) ..."; \
	$(INSTALL) "$$list"
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@echo "Installing requirements-dev.txt into .venv ..."
	@$(INSTALL) requirements-dev.txt
	@touch $@

EXTRAS = requirements-streaming.txt requirements-tensorboard.txt \
	requirements-huggingface.txt requirements-imported.txt requirements-export.txt \
	requirements-export-test.txt requirements-mirror.txt requirements-mirror-test.txt \
	requirements-clouds-test.txt

.venv/.installed-extras: $(EXTRAS) .venv/.installed-dev
	@echo "Installing $(EXTRAS) into .venv ..."
	@for list in $(EXTRAS); do $(INSTALL) "$$list" || exit 1; done
	@touch $@

.venv/.installed-docs: requirements-docs.txt .venv/.installed
	@echo "Installing requirements-docs.txt into .venv ..."
	@$(INSTALL) requirements-docs.txt
	@touch $@

# No file, or a link to a Python that is gone: .venv is made anew.
$(VENV_PYTHON): ;
