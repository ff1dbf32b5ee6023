"""Kill the ingestion at random instants, run it again, and compare with an uninterrupted run.

    .venv/bin/python -m benchmarks.kill_resume [--kills 50] [--passages 2000]

The work is the folder of real documents plus the first OpenStax passages. Each kill is a SIGKILL of
the real command at a random instant of the time that an uninterrupted run takes. Half of the kills
hit a fresh storage folder, which is then completed; in the other half one folder is killed again
and again before it is completed. The result must be the uninterrupted run's set: same passage ids,
same texts, no duplicate, no loss.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from benchmarks.common import application, arguments, heading
from rag_app.application import Application

COMMAND = [sys.executable, "-c", "from rag_app.cli import main; main()"]
COLLECTION = "kill"

Holdings = dict[str, tuple[str, str]]
"""Passage id -> (source, text)."""


def command(storage: Path, work: list[Path]) -> subprocess.Popen[bytes]:
    """Start the real command."""
    arguments = ["ingest", *map(str, work), "--collection", COLLECTION, "--json"]
    environment = {**os.environ, "RAG_APP_STORAGE__PATH": str(storage)}
    return subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def complete(storage: Path, work: list[Path]) -> float:
    """Run to the end; seconds. Exit status 3 is right: some of the documents are broken."""
    start = time.monotonic()
    process = command(storage, work)
    _, errors = process.communicate()
    if process.returncode not in {0, 3}:
        raise SystemExit(f"the ingestion ended with {process.returncode}: {errors.decode()}")
    return time.monotonic() - start


def kill_after(storage: Path, work: list[Path], seconds: float) -> bool:
    """Start, wait, SIGKILL; whether it was still at work."""
    process = command(storage, work)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


async def holdings(app: Application) -> Holdings:
    """Everything stored, and a check that no record is unsettled."""
    documents = await app.documents(COLLECTION)
    store = app._stores.open(COLLECTION)
    unsettled = [record.source for record in store.records() if not record.settled]
    assert not unsettled, f"unsettled: {unsettled}"
    held = {
        node.node_id: (node.metadata["source"], node.text)
        for batch in store.passages()
        for node in batch
    }
    assert len(held) == sum(document.passages for document in documents)
    return held


def look(storage: Path) -> Holdings:
    """The holdings of a storage folder."""
    with application(storage) as app:
        return asyncio.run(holdings(app))


def main() -> None:
    """Print one line a kill and a verdict."""
    parser = arguments("Kill and resume")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    heading(f"{chosen.kills} kills of an ingestion of the documents and {chosen.passages} passages")
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        passages = root / "passages.jsonl"
        with (chosen.data / "openstax" / "passages.jsonl").open(encoding="utf-8") as file:
            passages.write_text("".join(islice(file, chosen.passages)), "utf-8")
        work = [chosen.data / "documents", passages]
        seconds = complete(root / "whole", work)
        expected = look(root / "whole")
        print(f"uninterrupted: {len(expected)} passages in {seconds:.1f} s", flush=True)
        outcomes = []

        def check(storage: Path, kind: str, kills: int) -> None:
            outcomes.append(look(storage) == expected)
            shutil.rmtree(storage)
            print(json.dumps({"kind": kind, "kills": kills, "same": outcomes[-1]}), flush=True)

        fresh, chain = root / "fresh", root / "chain"
        kills = links = 0
        while kills < chosen.kills:
            storage = chain if kills % 2 else fresh
            hit = kill_after(storage, work, rng.random() * seconds)
            kills += hit
            if storage == fresh:
                complete(fresh, work)
                check(fresh, "fresh", int(hit))
            elif hit:
                links += 1
            else:  # it got to its end between two kills
                check(chain, "chain", links)
                links = 0
        complete(chain, work)
        check(chain, "chain", links)
    print(f"{kills} kills of a running ingestion")
    print(f"{sum(outcomes)} of {len(outcomes)} completed stores equal the uninterrupted one")
    if not all(outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
