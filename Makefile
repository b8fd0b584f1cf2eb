# Everything a newcomer or CI needs. `make demo` and `make test` set themselves up from a bare checkout.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The checkout itself is not installed: an editable install would hide its drop-ins from twisted.plugin.
RUN := PYTHONPATH=. $(BIN)/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo cluster-demo test torture bench docs lint types wheel clean

demo: $(VENV)/.run
	@$(RUN) -m scalemgr demo

# Three gateways on one ledger in PostgreSQL, HAProxy before them, one killed in the midst of it: some 20 seconds.
cluster-demo: $(VENV)/.run
	@$(RUN) -m examples.cluster

test: $(VENV)/.test
	$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# The promises, at length: the better part of an hour.
torture: $(VENV)/.test
	SCALEMGR_MODEL_EXAMPLES=3000 $(RUN) -m pytest -q tests/model
	$(RUN) -m tests.torture --kills 200
	$(RUN) -m tests.torture --kills 100 --ledger postgresql
	$(RUN) -m tests.torture --kills 20 --ledger postgresql-standby
	$(RUN) -m tests.torture.outbox

# How fast it is: two minutes, a table; BENCH=--help tells more.
bench: $(VENV)/.run
	@$(RUN) -m bench $(BENCH)

# What is made from the declarations, anew: docs/protocol.md and the examples in it, and the signatures of the client.
docs: $(VENV)/.lint
	$(RUN) -m tests.record
	$(RUN) -m tests.client.declaring

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

wheel: $(VENV)/.test
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf $(VENV) build dist *.egg-info .cache

# What to run, to test and to check with, from setup.cfg; a stamp says it is there.
$(VENV)/.run $(VENV)/.test $(VENV)/.lint: setup.cfg bin/requirements.py | $(BIN)/python
	@echo "setting up $(VENV) to $(patsubst .%,%,$(notdir $@)) (once) ..."
	@$(BIN)/python bin/requirements.py $(patsubst .%,%,$(notdir $@)) > $@.txt
	@$(BIN)/python -m pip install --quiet --requirement $@.txt
	@touch $@

$(VENV)/.lint: | $(VENV)/.test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "scalemgr needs Python 3.11 or newer; say which with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "this Python has no venv; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
