"""The encoder: asked to encode, and held to what its row says."""

import time

from rag_app.assembly import application as assembly
from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.probes.base import BEYOND, since
from rag_app.settings import Settings
from retrieval.encoders.base import Encoder

_SERVED = ("vllm", "openai")


def address(choice: EncoderChoice) -> str:
    """Where it is served; empty where it runs in this process."""
    return choice.url if choice.backend in _SERVED else ""


def encoder(settings: Settings, seconds: float) -> str:
    """Verify the encoder, then time one query.

    Args:
        settings: name the encoder.
        seconds: that a server has to answer.

    Raises:
        SettingsError: it cannot be made.
        EncoderError: it does not answer, or gives other vectors than its row promises.
    """
    choice = choose(settings)
    model = assembly.encoder(settings)
    if choice.backend in _SERVED:
        model = _impatient(model, seconds * BEYOND)
    try:
        found = model.verify()
        start = time.perf_counter()
        model.encode_query("Does the encoder work?")
        took = since(start)
    finally:
        model.close()
    return f"{found}; {_run_by(choice)}, a query {took}; licence {choice.row.licence}"


def _impatient(model: Encoder, seconds: float) -> Encoder:
    """The same encoder that gives its server up at once."""
    from retrieval.encoders.remote.served import ServedEncoder

    return model.patient(seconds, attempts=1) if isinstance(model, ServedEncoder) else model


def _run_by(choice: EncoderChoice) -> str:
    if choice.backend == "onnx":
        return f"onnx on cpu, {choice.run.precision}"
    if choice.backend != "transformers":
        return choice.backend
    from retrieval.encoders.local.checkpoint import pick_device, pick_dtype

    device = pick_device(choice.run.device)
    return f"transformers on {device}, {pick_dtype(choice.run.dtype, device)}"
