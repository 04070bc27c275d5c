# Everything runs in .venv, made from requirements.lock by whatever index pip is configured for.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
export PYTHONDONTWRITEBYTECODE := 1

# The first target says what there is.
.PHONY: help book test serve lab lint lock clean

help:  ## show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed and $(PYTHON) is %d.%d: say make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock --editable .
	$(BIN)/python -m pip check
	@mkdir -p .venv/etc/ipython  # chapters run on loopback only; spare readers the kernel's warning
	@echo "c.IPKernelApp.log_level = 40" > .venv/etc/ipython/ipython_kernel_config.py
	@touch $@

book: .venv/installed  ## execute the chapters and build the HTML
	$(BIN)/jupyter-book build . -W -n --keep-going -q
	@echo "Open $(CURDIR)/_build/html/index.html"

test: book  ## build the book and run every test
	$(BIN)/python -m pytest

serve: book  ## serve the built book on localhost
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lab: .venv/installed  ## open the chapters as notebooks in JupyterLab
	@JUPYTER_CONFIG_DIR=.venv/etc/jupyter $(BIN)/jupytext-config set-default-viewer markdown >/dev/null
	$(BIN)/jupyter lab notebooks --LabApp.news_url="" \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

lint: .venv/installed  ## check the style of the code
	$(BIN)/ruff check analysis tests book/_ext
	$(BIN)/ruff format --check analysis tests book/_ext

# torch brings the CUDA packages that its own wheel names, so that a CPU-only wheel can go without.
lock:  ## pin again what pyproject.toml allows (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --no-header \
	  pyproject.toml | grep -vE '^(nvidia|cuda|triton)-?' > requirements.lock

clean:  ## remove what was built (not what was measured)
	rm -rf _build
