"""Ctrl-C ends a run, and the person is told how to go on."""

import asyncio
from pathlib import Path

import pytest

from eval.commands.running import resumable
from rag_app.commands.common import Interrupted, until_done


async def _value():
    await asyncio.sleep(0)
    return 7


async def _stopped():
    raise KeyboardInterrupt


def test_a_run_gives_what_it_came_to(capsys):
    with resumable(Path("run 1")):
        assert until_done(_value()) == 7
    assert capsys.readouterr().err == "run: run 1\n"


def test_a_run_that_is_stopped_names_the_way_on(capsys):
    with pytest.raises(Interrupted), resumable(Path("run 1")):
        until_done(_stopped())
    assert capsys.readouterr().err.endswith("to go on: rag-app eval resume 'run 1'\n")
