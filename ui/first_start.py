"""The first start: the documents that ship are ingested, so that there is something to ask."""

import logging
from collections import deque
from contextlib import ExitStack
from importlib import resources
from typing import Final

from data.errors import RagAppError
from rag_app.results import IngestReport, Progress
from rag_app.service import Service

SAMPLES: Final = "samples"
"""The collection that the samples go to."""
EXAMPLES: Final = (
    "How long must chlorine act before water is safe to drink?",
    "How much energy does fresh water from the sea cost?",
    "Why does the lift pump rattle at 32 litres a second?",
)
"""Questions that the samples answer."""
_LOGGER: Final = logging.getLogger(__name__)


class FirstStart:
    """Takes the samples in where there is no collection yet, and otherwise wakes the encoder.

    Attributes:
        samples: whether the documents that ship are wanted.
        news: the newest progress, for whoever watches.
        report: what was done; None before, or where there was nothing to do.
        error: why it failed, for the person.
    """

    def __init__(self, service: Service, samples: bool) -> None:
        self._service, self.samples = service, samples
        self._done = False
        self.news: deque[Progress] = deque(maxlen=1)
        self.report: IngestReport | None = None
        self.error = ""

    def done(self) -> bool:
        """Whether it has finished, one way or another."""
        return self._done

    async def run(self) -> None:
        """Do it; never raises what a person can put right, since the page works without."""
        try:
            existing = await self._service.collections()
            if existing:
                usable = [found.name for found in existing if found.usable and found.passages]
                for name in usable[:1]:
                    await self._service.search(name, "warm up")
            elif self.samples:
                await self._take_in()
        except RagAppError as error:
            _LOGGER.warning("the first start is not complete: %s", error)
            self.error = str(error)
        finally:
            self._done = True

    async def _take_in(self) -> None:
        with ExitStack() as stack:
            folder = resources.files("data") / "samples" / "documents"
            path = stack.enter_context(resources.as_file(folder))
            self.report = await self._service.ingest(SAMPLES, [path], self.news.append)
