"""The program of docs/api.md does what the page says."""

import asyncio
import re

import pytest

from rag_app import connect
from rag_app.errors import ApplicationError
from rag_app.remote.wire import RemoteError
from rag_app.web.access import Access
from tests.conftest import REPOSITORY
from tests.rag_app.served import TOKEN, serving


async def test_the_documented_program_runs(application, capsys):
    text = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    [program] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    async with serving(application) as served:
        program = program.replace("http://127.0.0.1:7860", f"{served.address}/")
        await asyncio.to_thread(exec, program.replace("the password", TOKEN), {})
    added, found, answer = capsys.readouterr().out.splitlines()[:3]
    assert added == "1 document added, 1 passage"
    assert found == "found in lantern.md"
    assert "northern gate" in answer


async def test_without_a_key_what_everyone_may_do_is_possible(application):
    async with serving(application) as served, connect(served.address) as app:
        assert await app.collections() == []
        with pytest.raises(RemoteError, match="needs the password"):
            await app.drop_collection("c")


async def test_a_password_may_have_letters_of_any_language(application):
    access = Access("", "admin", "pässwörd 密码")
    async with serving(application, access) as served:
        async with connect(served.address, "pässwörd 密码") as app:
            await app.create_collection("c")
            assert [one.name for one in await app.collections()] == ["c"]


async def test_nobody_at_an_address_is_an_error_that_says_so():
    async with connect("http://127.0.0.1:9") as app:
        with pytest.raises(ApplicationError, match="does not answer"):
            await app.collections()
