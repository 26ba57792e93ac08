# `make demo` and `make test` need only Python 3.11+ and make; both create .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_CORPUS := corpora/python.txt

.PHONY: demo test test-slow soak lint docs pictures clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "charrnn needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/charrnn corpus python --output $(DEMO_CORPUS) --force
	$(BIN)/charrnn train $(DEMO_CORPUS) --minutes 2
	@echo; echo "A sample of the model that was just trained:"; echo
	$(BIN)/charrnn sample --temp 0.7 --length 1000
	@echo; echo "Next: $(BIN)/charrnn sample --prime 'def ' --temp 0.5    or    $(BIN)/charrnn train YOUR.txt"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 --dist worksteal -q -m 'backend and not slow'

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# The full counts of docs/reliability.md, whose table it writes; about forty minutes on two cores.
soak: $(VENV)/installed
	rm -f soak.jsonl
	CHARRNN_SOAK=$(CURDIR)/soak.jsonl $(BIN)/python -m pytest tests/faults -n 2 --dist worksteal -q
	$(BIN)/python docs/generate_reliability.py soak.jsonl

docs: $(VENV)/installed
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_cells.py

# Draws docs/cells/*.svg anew; needs Graphviz. That they are current is tested without it.
pictures: $(VENV)/installed
	$(BIN)/python docs/draw_cells.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
