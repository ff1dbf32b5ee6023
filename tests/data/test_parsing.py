"""The child process that reads foreign files, with real hostile files and real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.blocks import document_text
from data.errors import UnreadableFile
from data.limits import MIB, Limits
from data.parsing import Parser
from data.splitting import Splitter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def parser():
    with Parser() as shared:
        yield shared


@pytest.fixture(scope="module")
def endless(tmp_path_factory) -> Path:
    """A page that takes many seconds to read."""
    path = tmp_path_factory.mktemp("slow") / "endless.html"
    path.write_text("<p>word</p>" * 1_500_000)
    return path


def reason(parser: Parser, path: Path, name: str = "") -> str:
    with pytest.raises(UnreadableFile) as caught:
        list(parser.parse(path, name))
    return str(caught.value)


def test_real_files_of_every_kind_are_read(parser, shared_data):
    refused = {}
    for path in sorted((shared_data / "documents").iterdir()):
        try:
            sections = list(parser.parse(path))
        except UnreadableFile as error:
            refused[path.name] = error.cause
        else:
            assert sections
            text = document_text(sections)
            for passage in Splitter(lambda text: len(text.split()), 40, 8).split(sections):
                place = slice(passage.char_start, passage.char_end)
                assert text[place] == passage.text[passage.repeated :]
    assert sorted(refused) == ["password.pdf"]
    assert "encrypted" in refused["password.pdf"]


def test_the_owner_s_name_decides_and_is_shown(parser, tmp_path):
    (tmp_path / "0badc0de").write_text("# Title\n\nText")
    heading, *_ = parser.parse(tmp_path / "0badc0de", "notes.md")
    assert heading.title == "Title"
    assert "letter.pdf" in reason(parser, tmp_path / "0badc0de", "letter.pdf")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.txt", b"", "it is empty"),
        ("a.html", b"<p></p>", "it holds no text"),
        ("a.txt", b"%PDF-1.7\n", "content is a PDF"),
        ("a.pdf", b"%PDF-1.7\nnothing of the kind", "damaged"),
        ("a.exe", b"MZ", "not supported"),
        ("a.jsonl", b"{}\n", "no text"),
    ],
)
def test_reasons_are_plain(parser, tmp_path, name, content, cause):
    (tmp_path / name).write_bytes(content)
    assert cause in reason(parser, tmp_path / name)


def test_a_truncated_real_file_is_damaged(parser, shared_data, tmp_path):
    for name in ("word_sample.docx", "multi_page.pdf", "xlsx_01.xlsx"):
        raw = (shared_data / "documents" / name).read_bytes()
        (tmp_path / name).write_bytes(raw[: len(raw) // 2])
        assert "damaged" in reason(parser, tmp_path / name)


def test_a_missing_file_and_a_pipe_are_refused(parser, tmp_path):
    assert "No such file" in reason(parser, tmp_path / "gone.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    assert "not a regular file" in reason(parser, tmp_path / "pipe.txt")


def test_an_error_that_no_loader_expects_costs_one_file(parser, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types>wordprocessingml.</Types>")
        archive.writestr("_rels/.rels", "<Relationships><Relationship/></Relationships>")
    assert "damaged" in reason(parser, tmp_path / "a.docx")
    (tmp_path / "b.txt").write_text("fine")
    assert [section.text for section in parser.parse(tmp_path / "b.txt")] == ["fine"]


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_is_read(endless, tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    with Parser(Limits(seconds=1.0, seconds_per_mib=0.001)) as parser:
        assert "took longer than" in reason(parser, endless)
        assert [section.text for section in parser.parse(tmp_path / "b.txt")] == ["fine"]


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"many words " * 8_000_000)
    (tmp_path / "b.txt").write_text("fine")
    with Parser(Limits(memory_bytes=128 * MIB)) as parser:
        assert "more than 128 MiB of memory" in reason(parser, tmp_path / "a.txt")
        assert [section.text for section in parser.parse(tmp_path / "b.txt")] == ["fine"]


@pytest.mark.parametrize(
    "answer",
    [b"no json\n", b"[]\n", b'{"loaded": [[1, 2, 3, 4, 5]]}\n', b'{"loaded": ["a"]}\n', b"{}\n"],
)
def test_a_child_out_of_its_mind_is_not_believed(answer, tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    with Parser() as parser:
        list(parser.parse(tmp_path / "b.txt"))
        assert parser._child is not None
        parser._child._buffer += answer
        assert "lost its way" in reason(parser, tmp_path / "b.txt")
        assert parser._child is None
        assert len(list(parser.parse(tmp_path / "b.txt"))) == 1


def test_a_child_that_is_killed_costs_one_file(tmp_path, shared_data):
    with Parser() as parser:
        sections = parser.parse(shared_data / "beir/scifact/corpus.jsonl")
        next(sections)
        os.kill(_child(parser), signal.SIGKILL)
        with pytest.raises(UnreadableFile, match=r"crashed on it \(SIGKILL\)"):
            list(sections)
        (tmp_path / "b.txt").write_text("fine")
        assert len(list(parser.parse(tmp_path / "b.txt"))) == 1


def test_a_child_that_dies_between_files_is_replaced(tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    with Parser() as parser:
        list(parser.parse(tmp_path / "b.txt"))
        os.kill(_child(parser), signal.SIGKILL)
        time.sleep(0.2)
        assert len(list(parser.parse(tmp_path / "b.txt"))) == 1


def test_slow_consumers_cost_a_file_nothing_and_hold_the_child_back(shared_data):
    with Parser(Limits(seconds=2.0, seconds_per_mib=0.001)) as parser:
        sections = parser.parse(shared_data / "beir/scifact/corpus.jsonl")
        for _ in range(3):
            next(sections)
            time.sleep(1.0)
        assert len(list(sections)) == 5183 - 3


def test_a_dropped_file_does_not_spoil_the_next(parser, tmp_path, shared_data):
    for _ in parser.parse(shared_data / "beir/scifact/corpus.jsonl"):
        break
    (tmp_path / "b.txt").write_text("fine")
    assert [section.text for section in parser.parse(tmp_path / "b.txt")] == ["fine"]


def test_two_files_at_once_are_a_mistake_of_the_caller(parser, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "x"}\n' * 3)
    first = parser.parse(tmp_path / "a.jsonl")
    next(first)
    with pytest.raises(RuntimeError, match="one parser a thread"):
        next(parser.parse(tmp_path / "a.jsonl"))
    first.close()


def test_pages_and_characters_are_bound(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for name in "abc":
        book.create_sheet(name).append(["word"])
    book.save(str(tmp_path / "a.xlsx"))
    (tmp_path / "a.txt").write_text("x" * 100)
    with Parser(Limits(max_pages=2, max_characters=99)) as parser:
        assert "more than 2 pages" in reason(parser, tmp_path / "a.xlsx")
        assert "more than 99 characters" in reason(parser, tmp_path / "a.txt")


def test_a_megabyte_on_one_line_is_read(parser, tmp_path):
    text = " ".join(f"word{number}" for number in range(110_000))
    (tmp_path / "a.txt").write_text(text)
    assert "".join(section.text for section in parser.parse(tmp_path / "a.txt")) == text


def test_one_child_serves_many_files(parser, tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    list(parser.parse(tmp_path / "b.txt"))
    child = _child(parser)
    for _ in range(50):
        list(parser.parse(tmp_path / "b.txt"))
    assert _child(parser) == child


def test_closing_ends_the_child_and_a_closed_parser_may_be_used_again(tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    parser = Parser()
    list(parser.parse(tmp_path / "b.txt"))
    child = _child(parser)
    parser.close()
    assert not _runs(child)
    assert len(list(parser.parse(tmp_path / "b.txt"))) == 1
    parser.close()


def test_the_child_sees_no_secrets_and_writes_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "very secret")
    (tmp_path / "b.txt").write_text("fine")
    with Parser() as parser:
        list(parser.parse(tmp_path / "b.txt"))
        child = Path("/proc", str(_child(parser)))
        if not child.exists():
            pytest.skip("needs /proc")
        assert b"very secret" not in (child / "environ").read_bytes()
        limits = (child / "limits").read_text()
        assert "Max file size             0" in limits
        assert str(Limits().memory_bytes) in limits


def test_the_child_has_no_network_where_the_system_lets_it_leave(tmp_path):
    (tmp_path / "b.txt").write_text("fine")
    with Parser() as parser:
        list(parser.parse(tmp_path / "b.txt"))
        child = Path(f"/proc/{_child(parser)}/ns/net")
        if not child.exists() or child.readlink() == Path("/proc/self/ns/net").readlink():
            pytest.skip("optional: this system lets no process leave its network")
        routes = Path(f"/proc/{_child(parser)}/net/route").read_text().splitlines()
        assert len(routes) <= 1


def test_it_works_from_any_folder_even_one_with_a_package_of_the_same_name(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/__init__.py").write_text("raise SystemExit('the wrong package')")
    (tmp_path / "b.txt").write_text("fine")
    monkeypatch.chdir(tmp_path)
    with Parser() as parser:
        assert [section.text for section in parser.parse(Path("b.txt"))] == ["fine"]


@pytest.mark.skipif(sys.platform != "linux", reason="the lifeline's signal is Linux's")
def test_the_child_dies_with_a_killed_parent_even_while_it_is_busy(endless):
    code = (
        "import sys\nfrom pathlib import Path\nfrom data.parsing import Parser\n"
        "parser = Parser()\nlist(parser.parse(Path(sys.argv[1])))\n"
        "first = parser.parse(Path(sys.argv[2]))\n"
        "print(parser._child._process.pid, flush=True)\nnext(first)\n"
    )
    small = endless.with_name("small.txt")
    small.write_text("fine")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(small), str(endless)],
        stdout=subprocess.PIPE,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        assert _runs(child)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 3
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)


def _child(parser: Parser) -> int:
    """The process id of a parser's child."""
    assert parser._child is not None
    return parser._child._process.pid


def _runs(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_answers_are_plain_json(tmp_path):
    """The protocol, as `data.parser_child` documents it."""
    (tmp_path / "b.md").write_text("# A\n\nfine")
    reader, writer = os.pipe()
    job = {"path": str(tmp_path / "b.md"), "name": "b.md", "limits": {}}
    done = subprocess.run(
        [sys.executable, "-m", "data.parser_child", str(reader)],
        input=json.dumps(job).encode() + b"\n",
        capture_output=True,
        pass_fds=(reader,),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    os.close(reader)
    os.close(writer)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "loaded": [
                ["heading", "# A", None, [], 1, None, "", "A", None],
                ["paragraph", "fine", None, [], 0, None, "\n\n", "", None],
            ]
        },
        {"end": True, "leaving": False},
    ]
