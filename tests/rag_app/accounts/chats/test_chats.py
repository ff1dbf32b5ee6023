import asyncio
import sqlite3
import stat
from dataclasses import replace

import pytest

from rag_app.accounts.chats import EVERYONE
from rag_app.accounts.chats.chats import Chats, title_of
from rag_app.accounts.chats.conversation import TITLE, Turn
from rag_app.errors import ApplicationError
from tests.rag_app.accounts.chats.talk import a_turn

ANNE, BOB = "a" * 32, "b" * 32


@pytest.fixture
def chats(tmp_path) -> Chats:
    return Chats(tmp_path)


async def kept(chats: Chats, owner: str = ANNE, turn: Turn | None = None, to: str = "") -> str:
    turn = turn or a_turn()
    identity = await chats.begin(owner, to, turn)
    await chats.finish(owner, identity, turn)
    return identity


async def test_a_conversation_is_there_after_a_restart_with_all_its_evidence(tmp_path):
    turn = a_turn()
    identity = await kept(Chats(tmp_path), turn=turn)
    again = Chats(tmp_path)
    [info] = await again.conversations(ANNE)
    assert (info.id, info.title, info.collection, info.turns) == (identity, turn.question, "c", 1)
    conversation = await again.conversation(ANNE, identity)
    assert conversation.turns == [turn]
    assert turn.number == 1
    assert turn.asked == info.created == info.updated
    assert conversation.turns[0].passage_id(2) == "p1b"
    assert conversation.turns[0].stand_alone == "Where does the grey heron nest?"


async def test_only_the_storage_owner_may_read_the_file(tmp_path, chats):
    await kept(chats)
    with sqlite3.connect(tmp_path / "chats.sqlite") as other:  # keeps the log files alive
        other.execute("SELECT count(*) FROM turns").close()
        await kept(chats)
        files = list(tmp_path.iterdir())
        assert {file.name for file in files} > {"chats.sqlite"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    other.close()


async def test_nothing_is_made_before_something_is_kept(tmp_path, chats):
    assert await chats.conversations(ANNE) == []
    assert await chats.rated_answers(ANNE) == []
    assert await chats.delete_conversation(ANNE, "x") is False
    assert list(tmp_path.iterdir()) == []


async def test_nobody_reaches_the_conversations_of_another(chats):
    annes, bobs = await kept(chats, ANNE), await kept(chats, BOB)
    await chats.rate_answer(ANNE, annes, 1, "up", "mine")
    assert [one.id for one in await chats.conversations(BOB)] == [bobs]
    assert [one.id for one in await chats.conversations(BOB, "heron")] == [bobs]
    assert await chats.rated_answers(BOB) == []
    tries = (
        lambda: chats.conversation(BOB, annes),
        lambda: chats.rename_conversation(BOB, annes, "taken"),
        lambda: chats.rate_answer(BOB, annes, 1, "down"),
        lambda: chats.begin(BOB, annes, a_turn("smuggled")),
    )
    for attempt in tries:
        with pytest.raises(ApplicationError, match="there is no conversation"):
            await attempt()
    assert await chats.delete_conversation(BOB, annes) is False
    await chats.finish(BOB, annes, a_turn(number=1, text="spoilt"))
    await chats.forget(BOB, annes, 1)
    [turn] = (await chats.conversation(ANNE, annes)).turns
    assert (turn.text, turn.rating, turn.comment) == (a_turn().text, "up", "mine")
    assert (await chats.conversation(ANNE, annes)).title == turn.question


@pytest.mark.parametrize("identity", ["", "%", "*", "' OR 1=1 --", "\ud800", "a\0b"])
async def test_an_odd_id_is_no_conversation(chats, identity):
    mine = await kept(chats)
    with pytest.raises(ApplicationError, match="there is no conversation"):
        await chats.conversation(ANNE, identity)
    assert await chats.delete_conversation(ANNE, identity) is False
    assert [one.id for one in await chats.conversations(ANNE)] == [mine]


async def test_who_is_not_known_has_no_conversations(chats):
    await kept(chats)
    for attempt in (chats.conversations(""), chats.begin("", "", a_turn())):
        with pytest.raises(ApplicationError, match="that are known"):
            await attempt


async def test_who_holds_the_storage_reaches_all(chats):
    both = {await kept(chats, ANNE), await kept(chats, BOB)}
    assert {one.id for one in await chats.conversations(EVERYONE)} == both
    for identity in both:
        assert await chats.delete_conversation(EVERYONE, identity)
    assert await chats.conversations(EVERYONE) == []


async def test_a_search_looks_into_titles_questions_and_answers_whatever_the_case(chats):
    first = await kept(chats, turn=a_turn("Wo brütet die MÖWE?", text="Auf 50% der Dächer."))
    second = await kept(chats, turn=a_turn("And the tern?", text="On gravel."))
    await chats.rename_conversation(ANNE, second, "  Küsten\nvögel ")
    for text, found in (
        ("möwe", first), ("50%", first), ("GRAVEL", second), ("KÜSTEN VÖGEL", second), ("_", None)
    ):  # fmt: skip
        listed = [one.id for one in await chats.conversations(ANNE, text)]
        assert listed == ([found] if found else []), text


async def test_the_last_asked_comes_first_and_questions_are_numbered(chats):
    first = await kept(chats)
    second = await kept(chats)
    await kept(chats, turn=a_turn("And then?"), to=first)
    assert [one.id for one in await chats.conversations(ANNE)] == [first, second]
    turns = (await chats.conversation(ANNE, first)).turns
    assert [(turn.number, turn.question) for turn in turns] == [
        (1, "Where does the heron nest?"),
        (2, "And then?"),
    ]


async def test_two_windows_may_ask_in_one_conversation_at_once(chats):
    identity = await kept(chats)
    await asyncio.gather(*(kept(chats, turn=a_turn(str(n)), to=identity) for n in range(8)))
    turns = (await chats.conversation(ANNE, identity)).turns
    assert [turn.number for turn in turns] == list(range(1, 10))
    assert {turn.question for turn in turns[1:]} == {str(n) for n in range(8)}


async def test_an_answer_whose_process_is_gone_was_stopped(chats):
    identity = await chats.begin(ANNE, "", Turn(0, "Is anybody there?", "c"))
    [turn] = (await chats.conversation(ANNE, identity)).turns
    assert (turn.question, turn.state) == ("Is anybody there?", "stopped")


async def test_a_conversation_deleted_during_an_answer_stays_deleted(chats):
    turn = a_turn()
    identity = await chats.begin(ANNE, "", turn)
    assert await chats.delete_conversation(ANNE, identity)
    await chats.finish(ANNE, identity, turn)
    assert await chats.conversations(ANNE) == []


async def test_to_ask_again_is_to_forget_one_turn_and_none_of_another_window(chats):
    identity = await kept(chats)
    for question in ("two", "three"):
        await kept(chats, turn=a_turn(question), to=identity)
    await chats.forget(ANNE, identity, 2)
    await kept(chats, turn=a_turn("better", number=2), to=identity)
    turns = (await chats.conversation(ANNE, identity)).turns
    assert [(turn.number, turn.question) for turn in turns] == [
        (1, a_turn().question),
        (3, "three"),
        (4, "better"),
    ]


async def test_a_turn_is_not_numbered_like_one_of_its_page_that_could_not_be_kept(chats):
    turn = a_turn(number=3)
    await chats.begin(ANNE, "", turn)
    assert turn.number == 3


async def test_what_was_not_kept_has_no_time(chats):
    turn = a_turn(number=2)
    await kept(chats)
    with pytest.raises(ApplicationError, match="no conversation"):
        await chats.begin(ANNE, "gone", turn)
    assert (turn.asked, turn.number) == ("", 2)


async def test_what_an_answer_was_worth_is_kept_while_it_is_finished_again(chats):
    turn = a_turn()
    identity = await kept(chats, turn=turn)
    await chats.rate_answer(ANNE, identity, 1, "down", "  wrong bird ")
    await chats.finish(ANNE, identity, turn)
    [rated] = await chats.rated_answers(ANNE)
    assert (rated.rating, rated.comment) == ("down", "wrong bird")
    await chats.rate_answer(ANNE, identity, 1)
    assert await chats.rated_answers(ANNE) == []
    with pytest.raises(ApplicationError, match="no conversation"):
        await chats.rate_answer(ANNE, identity, 2, "up")


async def test_texts_that_are_no_unicode_and_numbers_that_are_no_json_are_kept(chats):
    odd = a_turn("half \ud800", text="\udfff[1]", thinking="\ud83d", answerability=0.5)
    odd.hits = [replace(odd.hits[0], score=float("nan"), text="\ud800")]
    identity = await kept(chats, turn=odd)
    [turn] = (await chats.conversation(ANNE, identity)).turns
    assert (turn.question, turn.text, turn.thinking) == ("half \ufffd", "\ufffd[1]", "\ufffd")
    assert turn.hits[0].score != turn.hits[0].score


async def test_evidence_that_cannot_be_read_takes_no_question_with_it(tmp_path, chats):
    identity = await kept(chats)
    with sqlite3.connect(tmp_path / "chats.sqlite") as file:
        file.execute("UPDATE turns SET evidence = '{\"hits\": 3}'")
    file.close()
    [turn] = (await chats.conversation(ANNE, identity)).turns
    assert (turn.question, turn.text) == (a_turn().question, a_turn().text)
    assert "cannot be read" in turn.error


async def test_the_file_of_a_newer_version_is_left_alone(tmp_path, chats):
    await kept(chats)
    with sqlite3.connect(tmp_path / "chats.sqlite") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(ApplicationError, match=r"newer rag-app .*99.*Update"):
        await Chats(tmp_path).conversations(ANNE)


async def test_a_damaged_file_is_named(tmp_path, chats):
    (tmp_path / "chats.sqlite").write_bytes(b"no database at all" * 300)
    with pytest.raises(ApplicationError, match=r"chats\.sqlite cannot be read or kept"):
        await chats.conversations(ANNE)


async def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path, chats):
    (tmp_path / "elsewhere").touch()
    (tmp_path / "chats.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ApplicationError, match="symbolic link"):
        await kept(chats)


async def test_what_was_deleted_is_no_longer_in_the_file(tmp_path, chats):
    identity = await kept(chats, turn=a_turn(text="the safe's number is 4711"))
    assert b"4711" in (tmp_path / "chats.sqlite").read_bytes()
    await chats.delete_conversation(ANNE, identity)
    assert all(b"4711" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("title", ["", " \n "])
async def test_a_title_has_words(chats, title):
    identity = await kept(chats)
    with pytest.raises(ApplicationError, match="needs a title"):
        await chats.rename_conversation(ANNE, identity, title)


def test_a_long_question_is_cut_for_a_title():
    assert title_of("a  b\nc") == "a b c"
    assert len(title_of("word " * 100)) == TITLE
