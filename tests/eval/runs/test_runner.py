"""Jobs are done at once, errors are recorded, and too many of them stop the run."""

import asyncio

import pytest

from eval.errors import EvalError
from eval.runs.runner import Job, TooManyErrors, run_all
from eval.runs.samples import SampleLog
from rag_app.errors import SettingsError


class Seen:
    """Keeps what a run tells."""

    def __init__(self):
        self.records = []

    def count(self, record):
        self.records.append(record)


async def ok():
    await asyncio.sleep(0)
    return {"state": "ok", "value": 1}


async def broken():
    raise SettingsError("no", cause="why", hint="Do this")


async def run(log, jobs, *, concurrency=4, max_errors=0.02, seen=None):
    with log:
        return await run_all(
            jobs,
            log,
            done=log.finished(),
            concurrency=concurrency,
            progress=seen or Seen(),
            max_errors=max_errors,
        )


@pytest.fixture
def log(tmp_path):
    return SampleLog(tmp_path / "samples.jsonl")


def jobs(works, **about):
    return (Job(str(n), work, about) for n, work in enumerate(works))


async def test_every_job_leaves_a_record_and_is_told_of(log):
    seen = Seen()
    outcome = await run(log, jobs([ok] * 50, arm="x"), seen=seen)
    assert (outcome.finished, outcome.errors) == (50, 0)
    records = list(log.read())
    assert {record["key"] for record in records} == set(map(str, range(50)))
    assert records[0] == {"key": "0", "arm": "x", "state": "ok", "value": 1}
    assert seen.records == records


async def test_no_more_jobs_are_under_way_or_even_made_than_asked_for(log):
    under_way, most, made = 0, 0, 0

    async def work():
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        assert made <= finished + 5
        await asyncio.sleep(0.001)
        under_way -= 1
        return {"state": "ok"}

    finished = 0

    class Count:
        def count(self, record):
            nonlocal finished
            finished += 1

    def lazily():
        nonlocal made
        for n in range(40):
            made += 1
            yield Job(str(n), work)

    await run(log, lazily(), concurrency=5, seen=Count())
    assert most == 5


async def test_finished_samples_are_not_asked_again_and_errors_are(log):
    await run(log, jobs([ok] * 99 + [broken]))
    asked = []

    def again(n):
        async def work():
            asked.append(n)
            return {"state": "ok"}

        return work

    outcome = await run(log, jobs([again(n) for n in range(100)]))
    assert asked == [99]
    assert (outcome.finished, outcome.errors) == (100, 0)
    assert len(log.finished()) == 100


async def test_an_error_is_a_record_with_its_message(log):
    outcome = await run(log, jobs([ok] * 99 + [broken], arm="x"))
    assert (outcome.finished, outcome.errors) == (99, 1)
    failed = [record for record in log.read() if record["state"] == "error"]
    assert failed == [{"key": "99", "arm": "x", "state": "error", "detail": "no: why. Do this"}]


async def test_too_many_errors_stop_the_run_and_name_the_way_back(log):
    with pytest.raises(TooManyErrors, match=r"samples failed.*no: why.*eval resume") as caught:
        await run(log, jobs([ok] * 20 + [broken] * 1000), concurrency=1)
    assert str(log.path.parent) in str(caught.value)
    assert len(list(log.read())) == 21


async def test_the_share_that_is_borne_can_be_chosen(log):
    works = [broken if n % 4 == 3 else ok for n in range(40)]
    with pytest.raises(TooManyErrors):
        await run(log, jobs(works), max_errors=0.2, concurrency=1)
    outcome = await run(log, jobs(works), max_errors=0.3, concurrency=1)
    assert (outcome.finished, outcome.errors) == (30, 10)


async def test_a_few_errors_at_the_start_do_not_stop_it(log):
    outcome = await run(log, jobs([broken] * 2 + [ok] * 98), max_errors=0.5, concurrency=1)
    assert (outcome.finished, outcome.errors) == (98, 2)


async def test_a_short_run_of_errors_alone_fails(log):
    with pytest.raises(TooManyErrors, match="3 of 3"):
        await run(log, jobs([broken] * 3))


async def test_a_fault_of_ours_ends_the_run_and_its_other_jobs(log):
    cancelled = asyncio.Event()

    async def waits():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def faulty():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(log, jobs([waits, faulty]))
    assert cancelled.is_set()


async def test_a_log_that_cannot_be_written_ends_the_run(tmp_path):
    log = SampleLog(tmp_path / "nowhere" / "samples.jsonl")

    def slowly():
        for n in range(10_000):
            yield Job(str(n), ok)

    with pytest.raises(EvalError, match="could not be written"):
        await run(log, slowly())
