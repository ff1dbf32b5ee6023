"""Rate of the whole ingestion beside that of the bare encoder, and beside LlamaIndex's stock one.

    .venv/bin/python -m benchmarks.ingestion [--passages 24783] [--peer PYTHON]

The bare encoder gets the same texts in one list, in the same process, before and after the
pipeline; the mean of the two is what the pipeline is held against. The peer
(`benchmarks/peers/stock_ingest.py`) ingests the first `--peer-passages` in its own process.
"""

import asyncio
import json
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path

from benchmarks.common import application, arguments, heading, table
from rag_app.application import Application
from retrieval.encoders.minilm import MiniLMEmbedding

PEER = Path(__file__).parent / "peers" / "stock_ingest.py"


def bare_rate(encoder: MiniLMEmbedding, texts: list[str]) -> float:
    """Passages a second of nothing but encoding."""
    start = time.perf_counter()
    encoder.encode_passages(texts)
    return len(texts) / (time.perf_counter() - start)


def pipeline_rate(app: Application, path: Path) -> float:
    """Passages a second of reading, cutting, encoding and storing."""
    start = time.perf_counter()
    report = asyncio.run(app.ingest("openstax", [path]))
    return report.passages / (time.perf_counter() - start)


def peer_rate(python: str, path: Path, count: int) -> float:
    """Passages a second of the stock pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(PEER), str(path), str(count), folder]
        seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return count / float(seconds.split()[-1])


def main() -> None:
    """Print rates and ratios."""
    parser = arguments("Rate of ingestion")
    parser.add_argument("--passages", type=int, default=24_783)
    parser.add_argument("--bare", type=int, default=2_000, help="passages of each bare run")
    parser.add_argument("--peer", help="a Python with llama-index's stock parts and torch")
    parser.add_argument("--peer-passages", type=int, default=2_000)
    chosen = parser.parse_args()
    heading(f"Ingestion of {chosen.passages:,} OpenStax passages")
    with (chosen.data / "openstax" / "passages.jsonl").open(encoding="utf-8") as file:
        lines = list(islice(file, chosen.passages))
    rows = [json.loads(line) for line in lines]
    texts = [f"{row['title']} {row['text']}" for row in rows]
    step = max(1, len(texts) // chosen.bare)
    sample = texts[::step]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "passages.jsonl"
        path.write_text("".join(lines), "utf-8")
        encoder = MiniLMEmbedding(Path(scratch) / "models")
        encoder.encode_passages(texts[:100])
        before = bare_rate(encoder, sample)
        with application(Path(scratch)) as app:
            pipeline = pipeline_rate(app, path)
        after = bare_rate(encoder, sample)
        stock = peer_rate(chosen.peer, path, chosen.peer_passages) if chosen.peer else None
    bare = 2 / (1 / before + 1 / after)
    table(
        ["what", "passages/s", "ratio"],
        [
            ["bare encoder, before and after", f"{before:.1f}, {after:.1f}", ""],
            ["whole pipeline", f"{pipeline:.1f}", f"{pipeline / bare:.3f} of bare (goal: 0.95)"],
            *(
                [["stock LlamaIndex", f"{stock:.1f}", f"{pipeline / stock:.2f}x (goal: 2.3)"]]
                if stock
                else []
            ),
        ],
    )


if __name__ == "__main__":
    main()
