"""What `qwen` reranking costs beside the server: against a bare load generator in the same run.

    .venv/bin/python -m benchmarks.rerank_overhead [--rounds 15] [--data ../shared/data]

A tiny random chat model is served by a real vLLM on this machine (RAG_APP_VLLM_VENV names its
environment). The reranker grades 100 passages of SciFact through the application's client. The
load generator sends bodies that differ from the reranker's in the query only, ready as bytes, over
a pool of its own with the same concurrency, and throws the answers away: that is the server's own
speed. Every round asks a new query, so that the server's cache helps neither side. The two take
turns in changing order; the overhead is the median over the rounds of the ratio of their times,
less one.

Server and client share the cores here, and a tiny model answers sooner than any real one: both make
the overhead larger than it is in use. Leave the machine alone meanwhile.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import httpx
from llama_index.core.schema import NodeWithScore, TextNode

from benchmarks.common import arguments, heading, percentile, table
from eval.datasets.corpus import passages
from rag_app.llm.client import MeteredLLM
from retrieval.reranking.pointwise import Grading
from retrieval.reranking.qwen import QwenReranker
from tests.tiny_models import tiny_chat
from tests.vllm_server import vllm_server

PASSAGES, WARM_UP = 100, 3


class Contest:
    """The two sides, on one server."""

    def __init__(
        self,
        url: str,
        pools: tuple[httpx.AsyncClient, httpx.AsyncClient],
        passages: Sequence[str],
        concurrency: int,
    ) -> None:
        ours, self._bare = pools
        ours.event_hooks["request"].append(self._keep)
        llm = MeteredLLM(
            connections=ours,
            concurrency=concurrency,
            model="tiny-chat",
            api_base=f"{url}/v1",
            api_key="unused",
            is_chat_model=True,
        )
        self._reranker = QwenReranker(llm, grading=Grading(concurrency=concurrency, deadline=300))
        self._nodes = [
            NodeWithScore(node=TextNode(text=text), score=1 / rank)
            for rank, text in enumerate(passages, start=1)
        ]
        self._url, self._concurrency = url, concurrency
        self._bodies: list[bytes] = []

    async def reranked(self, query: str) -> float:
        """Seconds that the reranker takes."""
        self._bodies.clear()
        start = time.perf_counter()
        reranked = await self._reranker.rerank(query, self._nodes)
        seconds = time.perf_counter() - start
        assert reranked.notes["ok"] == len(self._nodes), reranked.notes
        return seconds

    async def loaded(self, query: str, instead_of: str) -> float:
        """Seconds that the same requests take with another query, which must be as long."""
        bodies = iter([kept.replace(instead_of.encode(), query.encode()) for kept in self._bodies])
        headers = {"content-type": "application/json", "authorization": "Bearer unused"}

        async def work() -> None:
            for body in bodies:
                url = f"{self._url}/v1/chat/completions"
                answer = await self._bare.post(url, content=body, headers=headers)
                assert answer.status_code == 200, answer.text

        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(self._concurrency)))
        return time.perf_counter() - start

    async def _keep(self, request: httpx.Request) -> None:
        self._bodies.append(request.content)


async def measure(
    url: str, passages: Sequence[str], concurrency: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of every round, of the reranker and of the load generator."""
    ours, theirs = [], []
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with (
        httpx.AsyncClient(trust_env=False, limits=limits, timeout=300) as one,
        httpx.AsyncClient(trust_env=False, limits=limits, timeout=300) as other,
    ):
        contest = Contest(url, (one, other), passages, concurrency)
        last = "query 000000"
        await contest.reranked(last)  # the load generator needs its requests
        for at in range(1, rounds + WARM_UP):
            loaded, reranked = f"query {2 * at:06}", f"query {2 * at + 1:06}"
            if at % 2:
                bare = await contest.loaded(loaded, last)
                graded = await contest.reranked(reranked)
            else:
                graded = await contest.reranked(reranked)
                bare = await contest.loaded(loaded, reranked)
            last = reranked
            if at >= WARM_UP:
                ours.append(graded)
                theirs.append(bare)
    return ours, theirs


def main() -> None:
    """Run and print."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2, help="of the model: more make it slower")
    options = parser.parse_args()
    heading(f"Reranking {PASSAGES} passages, {options.concurrency} requests at a time")
    found = islice(passages(options.data / "beir/scifact/corpus.jsonl"), PASSAGES)
    texts = [f"{title} {text}" for _, title, text in found]
    with tempfile.TemporaryDirectory() as scratch:
        model = tiny_chat(Path(scratch) / "model", layers=options.layers)
        flags = ["--served-model-name", "tiny-chat", "--max-model-len", "4096"]
        with vllm_server(["vllm", "serve", str(model), *flags], Path(scratch)) as server:
            ours, theirs = asyncio.run(
                measure(server.url, texts, options.concurrency, options.rounds)
            )
    rows = [
        [name, *(f"{1000 * value:.0f}" for value in (min(s), median(s), percentile(s, 0.9)))]
        for name, s in (("load generator", theirs), ("reranker", ours))
    ]
    table(["side", "least ms", "median ms", "90 % ms"], rows)
    ratios = [graded / bare for graded, bare in zip(ours, theirs, strict=True)]
    spent = 1000 * (median(ours) - median(theirs)) / PASSAGES
    print(f"{spent:.1f} ms a passage more than the load generator")
    least, middle, most = (100 * (r - 1) for r in (min(ratios), median(ratios), max(ratios)))
    print(f"overhead of the client: {middle:.1f} % (goal: 5 % at most)")
    print(f"of single rounds: {least:.0f} to {most:.0f} %")


if __name__ == "__main__":
    main()
