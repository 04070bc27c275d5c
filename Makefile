# Everything runs in .venv: requirements.lock has what the book needs, requirements-all.lock what
# tests, releases and JupyterLab need besides, each file by its hash; torch.lock has the version of
# PyTorch, whose builds differ by the index that pip is configured for.
PYTHON ?= python3
BIN := .venv/bin
# What is imported is compiled then, and kept, whatever the environment (containers often forbid it).
export PYTHONDONTWRITEBYTECODE :=
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
HASHED := $(INSTALL) --require-hashes --no-deps
PORT ?= 8000
# What measured chapters show beside the REFERENCE, an archived run: this machine's own run at BUDGET,
# measured first where there is none, or the archived run or file RUN; RUN=none shows none.
BUDGET ?= smoke
export BUDGET REFERENCE RUN NAME PORT
# Sets RUN for the command that follows.
HERE = RUN="$(RUN)"; test -n "$$RUN" || \
  RUN=$$($(BIN)/python -m analysis measure --budget $(BUDGET) | sed -n 's/^run: //p'); \
  test -n "$$RUN" || exit 2; export RUN;

# A clone that was renamed or moved: programs of .venv name the place where they were installed.
MOVED := $(shell test ! -s .venv/installed || test "$$(cat .venv/installed)" = "$(CURDIR)" || echo moved)

.PHONY: moved words help book measure measure-links chapter pdf release check-release launch check-binder test \
  check-book serve lab lint lock clean

# The first target says what there is.
help:  ## show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/installed: requirements.lock torch.lock pyproject.toml $(MOVED)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed and $(PYTHON) is %d.%d: say make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	@trap 'kill $$! 2>/dev/null' EXIT INT TERM; $(INSTALL) --no-deps --requirement torch.lock & \
	  $(HASHED) --requirement requirements.lock && wait $$!  # one that fails or is ended ends both
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check || $(INSTALL) --requirement torch.lock --editable .  # CUDA's
	@mkdir -p .venv/etc/ipython  # chapters run on loopback only; spare readers the kernel's warning
	@echo "c.IPKernelApp.log_level = 40" > .venv/etc/ipython/ipython_kernel_config.py
	@echo "$(CURDIR)" > $@

.venv/all: .venv/installed requirements-all.lock
	$(HASHED) --requirement requirements-all.lock
	$(BIN)/python -m pip check
	@touch $@

# What the targets are told is looked at before anything is measured or built.
words: .venv/installed $(if $(filter pdf check-book,$(MAKECMDGOALS)),.venv/all)
	@$(BIN)/python -m publishing.words $(MAKECMDGOALS)

book: words  ## measure (BUDGET=smoke|quick|full, or RUN=NAME|FILE|none), run the chapters, build the HTML
	@$(HERE) $(BIN)/python -m publishing.build && $(BIN)/python -m analysis shown
	@echo "Open $(CURDIR)/_build/html/index.html"

measure: .venv/installed  ## measure this machine (BUDGET=smoke|quick|full)
	$(BIN)/python -m analysis measure --budget $(BUDGET)

measure-links: .venv/installed  ## measure links between PROCESSES=2 processes, into the run OUT or BUDGET's
	$(BIN)/python -m analysis links --processes $(or $(PROCESSES),2) --budget $(BUDGET) $(if $(OUT),--out $(OUT))

chapter: words  ## execute one chapter (NAME=01_scaling_disparity) as a notebook
	@$(HERE) $(BIN)/python -m publishing.chapter "$(NAME)"

pdf: words book .venv/all  ## print the whole book as PDF (needs Chromium)
	@$(BIN)/python -m publishing.pdf

release: .venv/all  ## pack the commit with its built book, the same bytes each time
	@$(BIN)/python -m publishing.release

check-release: .venv/all  ## build the release twice and compare
	@$(BIN)/python -m publishing.release --twice

launch: .venv/installed  ## write the chapters as .ipynb, as Binder and Colab open them
	@$(BIN)/python -m publishing.launch

check-binder:  ## build Binder's environment from nothing and run the launched notebooks in it
	PYTHON=$(PYTHON) binder/check

test: book .venv/all  ## build the book and run every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check-book: words book .venv/all  ## read the built book in headless Chromium
	$(BIN)/python -m pytest -rs tests/book/check_book.py tests/book/check_your_model.py \
	  tests/book/test_pages.py

serve: words book  ## serve the built book on localhost
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lab: .venv/all  ## open the chapters as notebooks in JupyterLab
	@JUPYTER_CONFIG_DIR=.venv/etc/jupyter $(BIN)/jupytext-config set-default-viewer markdown >/dev/null
	$(BIN)/jupyter lab notebooks --allow-root --LabApp.news_url="" \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

lint: .venv/all  ## check the style of the code
	$(BIN)/ruff check analysis publishing tests book/_ext data/models
	$(BIN)/ruff format --check analysis publishing tests book/_ext data/models

# What builds of torch bring besides comes by their own wheel, so that a CPU-only one can go without.
lock:  ## pin again what pyproject.toml and torch.lock allow (needs uv)
	for lock in "requirements-all.lock --all-extras" "requirements.lock --constraint requirements-all.lock"; do \
	  set -- $$lock; file=$$1; shift; \
	  uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	    --generate-hashes --constraint torch.lock $$@ pyproject.toml | \
	    sed -E '/^(torch|nvidia-|cuda-|triton)/,/[^\]$$/d' > $$file; done

clean:  ## remove what was built (not what was measured)
	rm -rf _build dist
