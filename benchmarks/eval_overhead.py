"""What the harness of `eval choice` costs beside asking itself, and whether its memory stays flat.

    .venv/bin/python -m benchmarks.eval_overhead [--limit 14042] [--concurrency 32] [--data ...]

All test questions of MMLU (synthetic ones where they are not at hand) are put to a scripted server
that answers at once, first by a closed-book run of the harness as the command line makes it (log,
response cache, progress), then by a bare loop that calls the same chooser on the same questions
with the same number under way. The overhead is the difference a question, in wall time and in
processor time of this process; the latter says the same where other programs use the machine, too.
Summing up comes once a run and is timed apart. Memory is the resident set
after 1,000, 7,000 and 14,000 questions.
"""

import asyncio
import json
import multiprocessing
import re
import resource
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.common import arguments, heading, table
from eval.choice.permutation import permutation
from eval.choice.plan import ChoicePlan, select
from eval.choice.task import ChoiceTask, begin, load
from eval.datasets.choice import Question
from eval.errors import DatasetError
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import run
from rag_app.assembly.components import chooser
from rag_app.settings import Settings, load_settings

QUESTIONS = 14_042
_MARKS = (1_000, 7_000, 14_000)
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time and of this process's processor time."""

    wall: float
    processor: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.processor - other.processor)


class Clock:
    """Takes both times at once."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def read(self) -> Cost:
        """Both since the start."""
        return Cost(time.perf_counter() - self._start[0], time.process_time() - self._start[1])


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--limit", type=int, default=QUESTIONS)
    parser.add_argument("--concurrency", type=int, default=32)
    chosen = parser.parse_args()
    heading(f"eval choice: overhead over {chosen.limit} closed-book questions")
    with tempfile.TemporaryDirectory() as scratch, scripted_server() as address:
        settings = load_settings(
            overrides={
                "storage": {"path": Path(scratch) / "storage"},
                "reader": {"kind": "llm"},
                "llm": {"model": "m", "api_base": address, "concurrency": chosen.concurrency},
            }
        )
        plan = ChoicePlan(
            dataset="mmlu", arms="closed_book", limit=chosen.limit, data_dir=str(chosen.data),
            concurrency=chosen.concurrency,
        )  # fmt: skip
        try:
            dataset = load(plan, settings)
        except DatasetError:
            plan = ChoicePlan(
                dataset=f"jsonl:{synthetic(Path(scratch) / 'questions.jsonl')}",
                arms="closed_book", limit=chosen.limit, concurrency=chosen.concurrency,
            )  # fmt: skip
            dataset = load(plan, settings)
        questions = select(dataset.questions, plan.limit, plan.seed)
        bare_loop(questions[:200], settings, chosen.concurrency)  # imports, connections
        directory = begin(Path(scratch) / "run", plan, settings)
        harness, tail, memory = measured_run(directory)
        bare = bare_loop(questions, settings, chosen.concurrency)
    count = len(questions)
    table(
        ["", "seconds", "ms a question", "processor ms a question"],
        [
            [name, f"{cost.wall:.1f}", f"{1000 * cost.wall / count:.3f}",
             f"{1000 * cost.processor / count:.3f}"]
            for name, cost in (
                ("harness", harness),
                ("bare loop", bare),
                ("overhead", harness - bare),
            )
        ],
    )  # fmt: skip
    print(f"\nsumming up: {tail.wall:.1f} s, once")
    shown = ", ".join(f"{rss:.0f} MB at {done}" for done, rss in memory.items())
    print(f"resident set: {shown}")


def measured_run(directory: RunDirectory) -> tuple[Cost, Cost, dict[int, float]]:
    """What asking cost, what summing up costs, and memory in MB by samples done."""
    memory: dict[int, float] = {}
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(directory, memory, over))
    watcher.start()
    clock = Clock()
    try:
        asyncio.run(run(directory, ChoiceTask(directory), tell=lambda _: None))
        whole = clock.read()
    finally:
        over.set()
        watcher.join()
    task = ChoiceTask(directory)
    clock = Clock()
    task.finish(directory)
    tail = clock.read()
    return whole - tail, tail, memory


def _watch(directory: RunDirectory, memory: dict[int, float], over: threading.Event) -> None:
    marks = [*_MARKS]
    while marks and not over.wait(0.2):
        if (directory.path / "progress.json").exists():
            done = directory.read_json("progress.json")["done"]
            if done >= marks[0]:
                memory[done] = _resident()
                marks.pop(0)


def _resident() -> float:
    """Resident set in MB, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def bare_loop(questions: Sequence[Question], settings: Settings, concurrency: int) -> Cost:
    """The same chooser on the same questions, and nothing else."""

    async def work() -> None:
        async with httpx.AsyncClient(trust_env=False, limits=_LIMITS) as connections:
            model = chooser(settings, connections)
            waiting = iter(questions)

            async def ask() -> None:
                for question in waiting:
                    order = permutation(0, question.id, len(question.choices))
                    await model.choose(question.question, [question.choices[n] for n in order])

            await asyncio.gather(*(ask() for _ in range(concurrency)))

    clock = Clock()
    asyncio.run(work())
    return clock.read()


def synthetic(path: Path) -> Path:
    """As many questions as MMLU has, of about its length."""
    words = [
        "harbour",
        "lantern",
        "willow",
        "granite",
        "signal",
        "orchard",
        "copper",
        "meadow",
        "turbine",
        "valley",
    ]
    with path.open("w", encoding="utf-8") as file:
        for n in range(QUESTIONS):
            text = " ".join(words[(n * k) % len(words)] for k in range(1, 40))
            record = {
                "id": str(n), "question": f"{n}: {text}?", "subject": f"subject {n % 57}",
                "choices": [f"{words[(n + k) % len(words)]} {k}" for k in range(4)],
                "answer_idx": n % 4,
            }  # fmt: skip
            file.write(json.dumps(record) + "\n")
    return path


@contextmanager
def scripted_server() -> Iterator[str]:
    """The address of a server in a process of its own that always answers B, at once."""
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(ready,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ready.get(timeout=30)}/v1"
    finally:
        process.terminate()
        process.join()


def _serve(ready: "multiprocessing.Queue[int]") -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        ready.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP/1.1 with connections kept alive: as little of it as the client needs."""
    message = {"role": "assistant", "content": "The answer is (B)"}
    answer = {
        "id": "c", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105},
    }  # fmt: skip
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    reply = head.encode() + b"\r\n\r\n" + body
    try:
        while True:
            asked = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", asked, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


if __name__ == "__main__":
    main()
