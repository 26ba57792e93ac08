# `make demo` and `make test` need only Python 3.11+ and make; both create .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests of a file share what takes long to make: one worker runs them all.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder
DEMO_CORPUS := corpora/python.txt

.PHONY: demo quick test test-slow soak lint docs pictures clean

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
	$(BIN)/lint-imports

# What needs neither TensorFlow nor JAX: the larger part of the tests, in about a minute.
quick: lint
	$(PYTEST) -m 'not trains and not backend and not slow'

# All but what takes minutes; what differs between the backends with both.
test: quick
	$(PYTEST) -m '(trains or backend) and not slow'
	KERAS_BACKEND=jax $(PYTEST) -m 'backend and not slow'

test-slow: $(VENV)/installed
	$(PYTEST) -m slow
	KERAS_BACKEND=jax $(PYTEST) -m 'backend and slow'

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
