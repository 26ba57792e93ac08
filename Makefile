# `make demo` and `make test` need only Python 3.11+ and make; both create .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests of a file share what takes long to make: one worker runs them all.
PYTEST := python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder
# The lowest versions have no wheels for newer Pythons.
LOWEST_PYTHON ?= python3.11
LOWEST := .venv-lowest
DEMO_CORPUS := corpora/python.txt

.PHONY: demo quick test test-slow test-lowest soak lint docs pictures clean

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

# What needs neither TensorFlow nor JAX: the larger part of the tests, in about four minutes.
quick: lint
	$(BIN)/$(PYTEST) -m 'not trains and not backend and not slow'

# All but what takes minutes; what differs between the backends with both.
test: quick
	$(BIN)/$(PYTEST) -m '(trains or backend) and not slow'
	KERAS_BACKEND=jax $(BIN)/$(PYTEST) -m 'backend and not slow'

test-slow: $(VENV)/installed
	$(BIN)/$(PYTEST) -m slow
	KERAS_BACKEND=jax $(BIN)/$(PYTEST) -m 'backend and slow'

$(LOWEST)/installed: pyproject.toml tests/packaging/lowest.py
	$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST_PYTHON) tests/packaging/lowest.py pyproject.toml > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --timeout 120 --constraint $(LOWEST)/lowest.txt \
		--editable '.[dev,zstd]'
	touch $@

# With the lowest versions that pyproject.toml allows: what `make quick` runs, the commands that train, and training with
# both backends.
test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/pip freeze --exclude-editable | grep -i -F -f $(LOWEST)/lowest.txt
	$(LOWEST)/bin/$(PYTEST) -m 'not trains and not backend and not slow'
	$(LOWEST)/bin/$(PYTEST) tests/cli -m 'trains and not slow'
	$(LOWEST)/bin/$(PYTEST) tests/training -m 'backend and not slow'
	KERAS_BACKEND=jax $(LOWEST)/bin/$(PYTEST) tests/training -m 'backend and not slow'

# The full counts of docs/reliability.md, whose table it writes; about fifty minutes on two cores.
soak: $(VENV)/installed
	rm -f soak.jsonl
	CHARRNN_SOAK=$(CURDIR)/soak.jsonl $(BIN)/python -m pytest tests/faults -m '' -n 2 --dist worksteal -q
	$(BIN)/python docs/generate_reliability.py soak.jsonl

docs: $(VENV)/installed
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_cells.py

# Draws docs/cells/*.svg anew; needs Graphviz. That they are current is tested without it.
pictures: $(VENV)/installed
	$(BIN)/python docs/draw_cells.py

clean:
	rm -rf $(VENV) $(LOWEST) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
