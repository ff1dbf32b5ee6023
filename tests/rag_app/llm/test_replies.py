"""Replies in the forms that servers are known to send, through a real server and our client."""

import gzip
import json

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage

from generation.budget import TokenBudget
from generation.errors import GenerationError
from generation.llm_reader import LLMReader
from rag_app.llm.client import MeteredLLM
from rag_app.llm.replies import _lines, tidy_reply, tidy_stream
from tests.generation.support import passage, read_all
from tests.openai_server import Reply

SAID = "The spare pump is in shed 4 [1]."
PASSAGES = [passage("The spare pump is in shed 4.")]
STREAM = "text/event-stream"


def chunk(delta: object, finish: str | None = None, **others) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **others}


def events(*chunks: object, end: str = "\n\n") -> str:
    return "".join(f"data: {json.dumps(one)}{end}" for one in chunks) + f"data: [DONE]{end}"


WORDS = [chunk({"content": "The spare pump "}), chunk({"content": "is in shed 4 [1]."})]
STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
PARTS = [{"type": "text", "text": "The spare pump "}, {"type": "text", "text": "is in shed 4 [1]."}]
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}}]}

STREAMS = {
    "OpenAI": events(
        chunk({"role": "assistant", "content": "", "refusal": None}), *WORDS, STOP,
        {"id": "c", "choices": [], "usage": USAGE},
    ),
    "Azure": events({"choices": [], "prompt_filter_results": []}, *WORDS, STOP),
    "vLLM": events(
        chunk({"role": "assistant", "content": None, "reasoning": "Hm."}), *WORDS, STOP,
    ),
    "Ollama": events(
        chunk({"role": "assistant", "content": "", "reasoning": "Hm."}), *WORDS,
        chunk({"role": "assistant", "content": ""}, "stop"),
    ),
    "LM Studio": events(chunk({"reasoning_content": "Hm."}), *WORDS, STOP),
    "llama.cpp": events(
        chunk({"role": "assistant", "content": None}), *WORDS, STOP,
        {"choices": None, "usage": USAGE, "timings": {"prompt_n": 7}},
    ),
    "Mistral": events(chunk({"content": [THINKING]}), chunk({"content": PARTS}), STOP),
    "OpenRouter": f": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n{events(*WORDS, STOP)}",
    "null choices": events({"choices": None}, *WORDS, {"choices": [None]}, STOP),
    "null delta": events(chunk(None), *WORDS, chunk(None, "stop")),
    "messages in place of deltas": events(
        *({"choices": [{"message": one["choices"][0]["delta"]}]} for one in WORDS), STOP
    ),
    "ids and retries": f"retry: 3000\nid: 1\nevent: message\n{events(*WORDS, STOP)}",
    "no reason to end": events(*WORDS),
    "an empty reason": events(*WORDS, chunk({}, "")),
    "no end": events(*WORDS, STOP).replace("data: [DONE]", ""),
    "single line feeds": events(*WORDS, STOP, end="\n"),
    "carriage returns": events(*WORDS, STOP).replace("\n", "\r\n"),
    "data without a blank": events(*WORDS, STOP).replace("data: ", "data:"),
    "empty data": f"data:\n\ndata: null\n\n{events(*WORDS, STOP)}",
    "a whole reply": json.dumps(WHOLE),
    "a whole reply over lines": json.dumps(WHOLE, indent=1),
    "a whole reply in parts": json.dumps({"choices": [{"message": {"content": PARTS}}]}),
    "carriage returns alone": events(*WORDS, STOP).replace("\n", "\r"),
    "a mark of the byte order": f"\ufeff{events(*WORDS, STOP)}",
    "events in lines of their own": "".join(f"{json.dumps(one)}\n" for one in [*WORDS, STOP]),
    "two answers": events(
        *WORDS, {"choices": [{"index": 1, "delta": {"content": "No."}}]}, STOP
    ),
    "tools that are not called": events(
        chunk({"content": None, "tool_calls": None, "refusal": None}), *WORDS,
        chunk({"tool_calls": []}, "stop"),
    ),
    "a refusal": events(chunk({"content": None, "refusal": SAID}), STOP),
    "numbers for names": events(
        {"id": 1, "created": "now", "model": None, "choices": [{"index": "0", "delta":
         {"role": None, "content": SAID}, "finish_reason": "stop", "stop_reason": 2}]},
    ),
    "thoughts in a field of that name": events(chunk({"thinking": "Hm."}), *WORDS, STOP),
    "thoughts in parts": events(
        chunk({"reasoning_content": [{"type": "text", "text": "Hm."}]}), *WORDS, STOP
    ),
    "thoughts in an object": events(chunk({"reasoning": {"content": "Hm."}}), *WORDS, STOP),
    "Unicode's line ends": events(*WORDS, STOP).replace("is in", "is\u2028in"),
    "[THINK]": events(chunk({"content": "[THINK]Hm.[/THI"}), chunk({"content": "NK]"}), *WORDS),
    "<thought>": events(chunk({"content": "<thought>Hm.</thought>\n"}), *WORDS),
    "Harmony": events(
        chunk({"content": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assist"}),
        chunk({"content": "ant<|channel|>final<|message|>"}), *WORDS,
        chunk({"content": "<|return|>"}),
    ),
}  # fmt: skip


@pytest.fixture
async def llm(openai_server):
    async with httpx.AsyncClient(trust_env=False) as connections:
        yield MeteredLLM(
            connections=connections, model="tiny-model", api_base=openai_server.url,
            api_key="unused", is_chat_model=True, max_tokens=50, max_retries=0,
        )  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_an_answer(openai_server, llm, name):
    kind = "application/json" if name.startswith("a whole") else STREAM
    openai_server.replies = [Reply(body=STREAMS[name], media_type=kind)]
    reader = LLMReader(llm, TokenBudget(4000, 50))
    shown, reading = await read_all(reader.read("Where is the spare pump?", PASSAGES))
    assert reading.text.replace("\u2028", " ") == SAID
    assert "Hm." not in "".join(shown)
    assert [citation.n for citation in reading.citations] == [1]
    assert not reading.truncated


async def test_thoughts_in_any_field_are_counted_as_such(openai_server, llm):
    fields = [name for name in STREAMS if name.startswith("thoughts in")]
    for name in ("vLLM", "Ollama", "LM Studio", "Mistral", "[THINK]", "Harmony", *fields):
        openai_server.replies = [Reply(body=STREAMS[name], media_type=STREAM)]
        reader = LLMReader(llm, TokenBudget(4000, 50))
        _, reading = await read_all(reader.read("Where is the spare pump?", PASSAGES))
        assert reading.thinking_tokens, name


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            events(
                WORDS[0],
                {"choices": [{"delta": {}, "finish_reason": "error",
                              "error": {"code": 502, "message": "the provider went away"}}]},
            ),
            "broke off its answer: the provider went away",
        ),
        (events(chunk({"content": ""}), chunk({}, "content_filter")), "content filter"),
        (events(chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}, "tool_calls")),
         "it called a tool"),
    ],
    ids=["an error in a choice", "a filter", "a tool"],
)  # fmt: skip
async def test_what_is_no_answer_is_told_for_what_it_is(openai_server, llm, reply, told):
    openai_server.replies = [Reply(body=reply, media_type=STREAM)]
    reader = LLMReader(llm, TokenBudget(4000, 50))
    with pytest.raises(GenerationError, match=told):
        await read_all(reader.read("Where is the spare pump?", PASSAGES))


async def test_pages_in_place_of_answers_are_told_without_their_tags(openai_server, llm):
    page = "<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    reader = LLMReader(llm, TokenBudget(4000, 50))
    for status, told in ((502, "HTTP 502, 502 Bad Gateway."), (200, "often /v1")):
        openai_server.replies = [Reply(body=page, raw_status=status, media_type="text/html")]
        with pytest.raises(GenerationError) as caught:
            await read_all(reader.read("Where is the spare pump?", PASSAGES))
        assert told in str(caught.value)
        assert "<" not in str(caught.value)


async def test_gzip_that_nobody_asked_for_is_unpacked(openai_server, llm):
    packed, whole = (
        gzip.compress(STREAMS["OpenAI"].encode()),
        gzip.compress(WHOLES["OpenAI"].encode()),
    )
    headers = {"content-encoding": "gzip"}
    openai_server.replies = [Reply(body=packed, media_type=STREAM, headers=headers)]
    _, reading = await read_all(
        LLMReader(llm, TokenBudget(4000, 50)).read("Where is the spare pump?", PASSAGES)
    )
    assert reading.text == SAID
    openai_server.replies = [Reply(body=whole, headers=headers)]
    assert (await llm.achat([ChatMessage("Where?")])).message.content == SAID
    openai_server.replies = [Reply(body=b"no gzip", headers=headers)]
    with pytest.raises(openai.APIError, match="no gzip"):
        await llm.achat([ChatMessage("Where?")])


@given(st.text("ab\r\n", max_size=12), st.integers(1, 4))
async def test_where_a_stream_of_lines_is_split_does_not_matter(text, size):
    async def pieces(size):
        for i in range(0, len(text), size):
            yield text[i : i + size].encode()

    whole = [line async for line in _lines(pieces(99))]
    assert [line async for line in _lines(pieces(size))] == whole


WHOLES = {
    "OpenAI": json.dumps(WHOLE),
    "parts": json.dumps({"choices": [{"message": {"content": [THINKING, *PARTS]}}]}),
    "no role": json.dumps({"choices": [{"message": {"content": SAID}}]}),
    "delta": json.dumps({"choices": [{"delta": {"content": SAID}, "finish_reason": ""}]}),
    "stream": STREAMS["OpenAI"],
    "stream with comments": STREAMS["OpenRouter"],
}


@pytest.mark.parametrize("name", WHOLES)
async def test_a_whole_reply_is_an_answer(openai_server, llm, name):
    openai_server.replies = [Reply(body=WHOLES[name])]
    answer = await llm.achat([ChatMessage("Where?")])
    assert answer.message.content == SAID
    assert answer.raw.choices[0].finish_reason == "stop"


async def test_halves_of_characters_are_joined_or_replaced(openai_server, llm):
    halves = events(
        chunk({"content": "Shed \ud83d"}), chunk({"content": "\ude00 is"}),
        chunk({"content": " \udc00 here\ud83d"}), STOP,
    )  # fmt: skip
    openai_server.replies = [Reply(body=halves, media_type=STREAM)]
    pieces = [one.delta async for one in await llm.astream_chat([ChatMessage("Where?")])]
    assert "".join(pieces) == "Shed 😀 is \ufffd here"
    openai_server.replies = [
        Reply(body=json.dumps({"choices": [{"message": {"content": "\ud83d!"}}]}))
    ]
    assert (await llm.achat([ChatMessage("Where?")])).message.content == "\ufffd!"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(st.sampled_from(["choices", "delta", "message", "content", "text", "type",
                                       "index", "finish_reason", "usage"]), each, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
async def test_no_json_breaks_the_tidying(body):
    raw = json.dumps(body).encode()
    tidy_reply(raw)
    tidy_reply(b"data: " + raw)

    async def pieces():
        yield b"data: " + raw[:7]
        yield raw[7:] + b"\n\n"

    for event in [event async for event in tidy_stream(pieces())]:
        assert event.startswith(b"data: ")
