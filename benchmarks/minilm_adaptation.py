"""MiniLM trained on textbook questions, and what that gains on books that it never saw.

    .venv/bin/python -m benchmarks.minilm_adaptation prepare FOLDER
    python -m benchmarks.minilm_adaptation search FOLDER --out FILE --seconds 240
    python -m benchmarks.minilm_adaptation final FOLDER --out FILE [--chosen FILE] [--seeds 3]
    .venv/bin/python -m benchmarks.minilm_adaptation report FILE

`prepare` needs the data sets and this package; `search` and `final` need only torch, transformers,
sentence-transformers, numpy and pydantic, so that they run on a rented GPU. Settings are chosen by
`search` on the training books alone: each setting is trained on two of them and scored on the two
others, both ways round, and must not lower a guard set (cranfield, entailmentbank) by more than
half a point. Neither the test books nor SciFact are looked at before `final`.

The loop is ours because the lent machine has no `datasets`, which the library's trainer needs;
losses, batches, negatives and pairs are those of `rag-app train`.
"""

import argparse
import bz2
import json
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

TEST = ("biology-1e", "american-government-3e", "college-physics-2e")
FOLDS = (("anatomy-physiology-2e", "psychology-2e"), ("microbiology", "sociology-3e"))
GUARDS = ("cranfield", "entailmentbank")
MOST_PAIRS = 12_000
"""What is carried to another machine may not be large."""
LENGTH = 256
"""Tokens of a text where vectors are compared, as in use."""


@dataclass(frozen=True)
class Setting:
    """What is trained on, and how.

    Attributes:
        questions: whether textbook questions are among the examples.
        pairs: examples of the documents' own structure for each question, or for none if 0; without
            questions, the number of pairs a passage at most.
        kinds: of those pairs.
        own: whether the tested books give pairs, too, as a user's own documents would.
        answers: whether each question is an example once more with its right answer added.
        keep: share of the trained weights in the result; the rest is the start's.
    """

    questions: bool = True
    pairs: float = 0
    kinds: tuple[str, ...] = ("heading", "sentence", "cloze")
    own: bool = False
    answers: bool = False
    positives: int = 2
    negatives: int = 2
    first: int = 5
    last: int = 50
    batch: int = 128
    epochs: float = 2
    rate: float = 5e-5
    temperature: float = 0.05
    length: int = 128
    keep: float = 1.0
    redapter: bool = False
    start_step: int = 10


# ------------------------------------------------------------------------------------- preparing


def prepare(folder: Path, data: Path) -> None:
    """Write the books, the questions, the guard sets, and the start's weights in float16."""
    import shutil

    from safetensors.numpy import load_file, save_file

    from data.sentences import split_sentences
    from eval.datasets import beir
    from eval.datasets.corpus import passages as corpus_of
    from retrieval.encoders.minilm_graph import model_folder
    from retrieval.training import pairs

    folder.mkdir(parents=True, exist_ok=True)
    books = [json.loads(line) for line in (data / "openstax/passages.jsonl").open()]
    made = [
        pairs.Passage(
            id=f"{one['book']}:{one['module']}",
            text=one["text"],
            headings=(one["title"],),
            document=one["book"],
        )
        for one in books
    ]

    def sentences(text: str) -> list[str]:
        return [text[start:end] for start, end in split_sentences(text)]

    sections = {(f"{b['book']}:{b['module']}", b["text"]): b["section"] for b in books}
    found = []
    for example in pairs.make(made, sentences, ("heading", "sentence", "cloze")):
        record = {"q": example.query, "p": example.pos[0], "g": example.pos_id[0]}
        if example.kind == "heading":
            record["q"] += ": " + sections[example.pos_id[0], example.pos[0]]
        found.append(record | {"k": example.kind})
    found = random.Random(0).sample(found, min(MOST_PAIRS, len(found)))
    questions = [json.loads(line) for line in (data / "openstax/mcq.jsonl").open()]
    tree: dict[str, Any] = {
        "passages": [[one.id, one.document, one.indexed] for one in made],
        "pairs": found,
        "questions": [
            {
                "id": one["id"],
                "book": one["book"],
                "g": f"{one['book']}:{one['module']}",
                "q": one["question"],
                "a": one["options"][one["answer_idx"]],
            }
            for one in questions
        ],
    }
    for name in (*GUARDS, "scifact"):
        one = beir.find(name, data, folder)
        assert one.corpus is not None
        tree[name] = {
            "corpus": [
                [key, f"{title} {text}".strip()] for key, title, text in corpus_of(one.corpus)
            ],
            "queries": dict(one.queries),
            "qrels": {query: dict(row) for query, row in one.qrels.items()},
        }
    (folder / "data.json.bz2").write_bytes(
        bz2.compress(json.dumps(tree, ensure_ascii=False).encode())
    )
    start = model_folder()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(start / name, folder / name)
    weights = load_file(start / "model.safetensors")
    save_file(
        {
            key: value.astype(np.float16) if value.dtype == np.float32 else value
            for key, value in weights.items()
        },
        folder / "model.safetensors",
        {"format": "pt"},
    )


# --------------------------------------------------------------------------------------- scoring


class Encoder:
    """The network and its tokenizer; texts are tokenised once."""

    def __init__(self, folder: Path) -> None:
        import torch
        from safetensors.torch import load_file
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize, Transformer
        from sentence_transformers.sentence_transformer.modules import Pooling
        from tokenizers import Tokenizer
        from transformers import logging

        logging.set_verbosity_error()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_float32_matmul_precision("high")
        body = Transformer(str(folder), model_kwargs={"dtype": torch.float32})
        parts = [body, Pooling(384, "mean"), Normalize()]
        self.model = SentenceTransformer(modules=parts, device=self.device)
        kept = load_file(folder / "model.safetensors")
        assert {key for key, _ in body.auto_model.named_parameters()} <= set(kept)
        self.body = body.auto_model
        self.start = {key: value.clone() for key, value in self.body.state_dict().items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self._ids: dict[str, list[int]] = {}

    def restart(self) -> None:
        """The weights as they were at first."""
        self.body.load_state_dict(self.start)

    def mix(self, keep: float) -> None:
        """Between the start, 0, and what was trained, 1."""
        state = self.body.state_dict()
        mixed = {
            key: self.start[key].lerp(value, keep) if value.is_floating_point() else value
            for key, value in state.items()
        }
        self.body.load_state_dict(mixed)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of texts, uncut, with [CLS] and [SEP]."""
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        if new:
            encoded = self.tokenizer.encode_batch_fast(new)
            self._ids |= {text: one.ids for text, one in zip(new, encoded, strict=True)}
        return [self._ids[text] for text in texts]

    def features(self, texts: Sequence[str], length: int) -> dict[str, Any]:
        """Padded token ids and their mask."""
        import torch

        kept = [cut(one, length) for one in self.ids(texts)]
        width = -(-max(map(len, kept)) // 8) * 8
        ids = np.zeros((len(kept), width), np.int64)
        for row, one in enumerate(kept):
            ids[row, : len(one)] = one
        made = torch.from_numpy(ids).to(self.device, non_blocking=True)
        return {"input_ids": made, "attention_mask": (made > 0).long()}

    def vectors(self, texts: Sequence[str], length: int = LENGTH) -> Any:
        """Unit vectors of texts, float32 [texts, 384], where the model is."""
        import torch

        self.model.eval()
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        out = torch.empty(len(texts), 384, device=self.device)
        size = 512 if self.device == "cuda" else 32
        with torch.inference_mode():
            for begin in range(0, len(order), size):
                rows = order[begin : begin + size]
                features = self.features([texts[row] for row in rows], length)
                out[rows] = self.model(features)["sentence_embedding"].float()
        return out


def cut(ids: list[int], length: int) -> list[int]:
    """The first tokens and the last one."""
    return ids if len(ids) <= length else [*ids[: length - 1], ids[-1]]


class Data:
    """What `prepare` wrote."""

    def __init__(self, folder: Path) -> None:
        tree = json.loads(bz2.decompress((folder / "data.json.bz2").read_bytes()))
        self.passages: list[tuple[str, str, str]] = [tuple(one) for one in tree["passages"]]
        self.pairs: list[dict[str, str]] = tree["pairs"]
        self.questions: list[dict[str, str]] = tree["questions"]
        self.sets: dict[str, Any] = {name: tree[name] for name in (*GUARDS, "scifact")}

    def of(self, books: Sequence[str]) -> list[dict[str, str]]:
        """The questions of some books."""
        return [one for one in self.questions if one["book"] in books]


def by_module(
    encoder: Encoder, data: Data, books: Sequence[str], length: int = LENGTH
) -> list[float]:
    """nDCG@10 of each question of some books, over the passages of the modules that are asked."""
    import torch

    questions = data.of(books)
    asked = {one["g"] for one in questions}
    there = [one for one in data.passages if one[0] in asked]
    names = sorted(asked)
    at = torch.tensor([names.index(one[0]) for one in there], device=encoder.device)
    vectors = encoder.vectors([one[2] for one in there], length)
    queries = encoder.vectors([one["q"] for one in questions], length)
    scores = queries @ vectors.T
    best = torch.full((len(questions), len(names)), -2.0, device=encoder.device)
    best.scatter_reduce_(1, at.expand(len(questions), -1), scores, "amax")
    gold = torch.tensor([names.index(one["g"]) for one in questions], device=encoder.device)
    ranks = (best > best.gather(1, gold[:, None])).sum(1).tolist()
    return [1 / math.log2(rank + 2) if rank < 10 else 0.0 for rank in ranks]


def by_qrels(encoder: Encoder, one: Mapping[str, Any]) -> list[float]:
    """nDCG@10 of each judged query of a data set."""
    import torch

    from eval.retrieval.metrics import ndcg

    keys = [key for key, _ in one["corpus"]]
    vectors = encoder.vectors([text for _, text in one["corpus"]])
    judged = [query for query in one["qrels"] if query in one["queries"]]
    queries = encoder.vectors([one["queries"][query] for query in judged])
    values, places = torch.topk(queries @ vectors.T, min(10, len(keys)))
    run = {
        query: {keys[place]: value for place, value in zip(row, scores, strict=True)}
        for query, row, scores in zip(judged, places.tolist(), values.tolist(), strict=True)
    }
    found = ndcg(run, {query: one["qrels"][query] for query in judged})
    return [found[query] for query in judged]


# -------------------------------------------------------------------------------------- training


class Mined:
    """Positives and negatives by the start's vectors, made once for all settings."""

    def __init__(self, encoder: Encoder, data: Data) -> None:
        encoder.restart()
        self.data = data
        self.vectors = encoder.vectors([one[2] for one in data.passages])
        self.device = encoder.device
        self.with_answer = encoder.vectors([f"{one['q']} {one['a']}" for one in data.questions])
        self.pair_vectors = encoder.vectors([one["q"] for one in data.pairs], 64)

    def examples(
        self, setting: Setting, asked: Sequence[str], books: Sequence[str], seed: int
    ) -> list[Any]:
        """What a setting trains on, with questions of `asked` and passages of `books`."""
        from retrieval.training.examples import Example

        place = [at for at, one in enumerate(self.data.passages) if one[1] in books]
        made: list[Example] = []
        if setting.questions:
            rows = [at for at, one in enumerate(self.data.questions) if one["book"] in asked]
            items = [self.data.questions[at] for at in rows]
            queries = self.with_answer[rows]
            positives, negatives = self._mined(queries, [one["g"] for one in items], place, setting)
            for one, good, bad in zip(items, positives, negatives, strict=True):
                shown = [one["q"], f"{one['q']} {one['a']}"] if setting.answers else [one["q"]]
                for query in shown:
                    texts = [self.data.passages[at] for at in good]
                    hard = [self.data.passages[at] for at in bad]
                    made.append(
                        Example(
                            query=query,
                            pos=[text for _, _, text in texts],
                            neg=[text for _, _, text in hard],
                            pos_id=[group for group, _, _ in texts],
                            neg_id=[group for group, _, _ in hard],
                            reasoning_query=f"{one['q']} {one['a']}",
                        )
                    )
        if setting.pairs:
            made += self._of_pairs(setting, place, books, len(made), seed)
        return made

    def _of_pairs(
        self, setting: Setting, place: list[int], books: Sequence[str], questions: int, seed: int
    ) -> list[Any]:
        from retrieval.training.examples import Example

        rows = [
            at
            for at, one in enumerate(self.data.pairs)
            if one["k"] in setting.kinds and one["g"].split(":")[0] in books
        ]
        wanted = int(setting.pairs * (questions or len(place)))
        rows = random.Random(seed).sample(rows, min(wanted, len(rows)))
        items = [self.data.pairs[at] for at in rows]
        groups = [one["g"] for one in items]
        _, negatives = self._mined(self.pair_vectors[rows], groups, place, setting)
        return [
            Example(
                query=one["q"],
                pos=[one["p"]],
                neg=[self.data.passages[at][2] for at in bad],
                pos_id=[one["g"]],
                neg_id=[self.data.passages[at][0] for at in bad],
                reasoning_query=one["q"],
            )
            for one, bad in zip(items, negatives, strict=True)
        ]

    def _mined(
        self, queries: Any, groups: list[str], place: list[int], setting: Setting
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Rows of the best passages of each query's group, and of its hard negatives.

        As `retrieval.training.mining.mine`, on the device.
        """
        import torch

        names = {name: at for at, name in enumerate(dict.fromkeys(groups))}
        of = torch.tensor(
            [names.get(self.data.passages[at][0], -1) for at in place], device=self.device
        )
        own = torch.tensor([names[group] for group in groups], device=self.device)
        vectors, rows = self.vectors[place], np.array(place)
        good: list[list[int]] = []
        bad: list[list[int]] = []
        for begin in range(0, len(groups), 1024):
            scores = queries[begin : begin + 1024] @ vectors.T
            mine = own[begin : begin + 1024, None] == of[None]
            inside = scores.masked_fill(~mine, -2)
            values, best = inside.topk(setting.positives)
            outside = scores.masked_fill(mine, -2)
            top, others = outside.topk(min(setting.last, len(place)))
            allowed = top < 0.95 * values[:, :1]
            for row in range(len(scores)):
                kept = values[row] > -2
                good.append(rows[best[row][kept].tolist()].tolist())
                hard = others[row, setting.first :][allowed[row, setting.first :]].tolist()
                bad.append(rows[hard[:16]].tolist())
        return good, bad


def train(encoder: Encoder, examples: Sequence[Any], setting: Setting, seed: int) -> list[float]:
    """Train from the start; returns the loss of every step."""
    import torch

    from retrieval.training.batches import rows
    from retrieval.training.contrastive import ContrastiveLoss

    torch.manual_seed(seed)
    encoder.restart()
    order = rows(
        examples, batch_size=setting.batch, negatives=setting.negatives,
        epochs=setting.epochs, seed=seed,
    )  # fmt: skip
    steps = len(order) // setting.batch
    model = encoder.model.train()
    loss = ContrastiveLoss(
        model, setting.temperature, 1024 if encoder.device == "cuda" else 32,
        redapter=setting.redapter, start_step=setting.start_step,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), lr=setting.rate, weight_decay=0.01)
    warm = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    losses = []
    for step in range(steps):
        batch = order[step * setting.batch : (step + 1) * setting.batch]
        columns = [[one.query for one in batch]]
        columns += [list(column) for column in zip(*(one.passages for one in batch), strict=True)]
        if setting.redapter:
            columns.append([one.reasoning_query for one in batch])
        features = [encoder.features(column, setting.length) for column in columns]
        labels = torch.tensor([one.groups for one in batch], device=encoder.device)
        loss.step = step
        with torch.autocast(encoder.device, torch.bfloat16, enabled=encoder.device == "cuda"):
            value = loss(features, labels)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(value.detach())
    return [float(one) for one in losses]


# ------------------------------------------------------------------------------- the experiments

SEARCH: dict[str, Setting] = {
    "base": Setting(),
    "rate1e-4": Setting(rate=1e-4),
    "epochs4": Setting(epochs=4),
    "temp.02": Setting(temperature=0.02),
    "pairs4own": Setting(pairs=4, own=True),
    "pairs1": Setting(pairs=1),
    "answers": Setting(answers=True),
    "neg5": Setting(negatives=5),
    "first0": Setting(first=0),
    "pos4": Setting(positives=4),
    "batch256": Setting(batch=256, epochs=4),
    "cloze4": Setting(pairs=4, kinds=("cloze",), own=True),
    "heading4": Setting(pairs=4, kinds=("heading",), own=True),
}
KEEPS = (0.5, 1.0)
ALONE: dict[str, Setting] = {
    f"{name}-{rate}": Setting(
        questions=False, pairs=1, kinds=kinds, epochs=1, rate=rate, negatives=negatives, own=True
    )
    for name, kinds, negatives in (
        ("all", ("heading", "sentence", "cloze"), 1),
        ("cloze", ("cloze",), 1),
    )
    for rate in (1e-5, 3e-5)
}


def scored(
    encoder: Encoder, data: Data, mined: Mined, setting: Setting, seed: int
) -> dict[float, Any]:
    """A setting on both folds: the mean gain by share kept, and what the guard sets lost."""
    found: dict[float, dict[str, list[float]]] = {keep: {} for keep in KEEPS}
    for asked, tested in (FOLDS, FOLDS[::-1]):
        books = searched(data, setting, tested)
        losses = train(encoder, mined.examples(setting, asked, books, seed), setting, seed)
        trained = {key: value.clone() for key, value in encoder.body.state_dict().items()}
        for keep in KEEPS:
            encoder.body.load_state_dict(trained)
            encoder.mix(keep)
            row = found[keep]
            row.setdefault("gain", []).append(_mean(by_module(encoder, data, tested)))
            for name in GUARDS if tested == FOLDS[1] else ():
                row.setdefault(name, []).append(_mean(by_qrels(encoder, data.sets[name])))
            row.setdefault("loss", []).append(_mean(losses[-5:]))
    return {keep: {key: _mean(value) for key, value in row.items()} for keep, row in found.items()}


def searched(data: Data, setting: Setting, tested: Sequence[str]) -> list[str]:
    """Books that give passages: never the test books, and the tested ones if they are `own`."""
    left_out = {*TEST} if setting.own else {*TEST, *tested}
    return sorted({book for _, book, _ in data.passages} - left_out)


def search(folder: Path, out: Path, seconds: float) -> None:
    """Score settings on the folds: one change at a time, then the good changes together."""
    data, encoder, began = Data(folder), Encoder(folder), time.monotonic()
    start = {"gain": _mean([_mean(by_module(encoder, data, one)) for one in FOLDS])}
    start |= {name: _mean(by_qrels(encoder, data.sets[name])) for name in GUARDS}
    mined = Mined(encoder, data)
    say(f"start {start}; mined after {time.monotonic() - began:.0f} s")
    found: dict[str, Any] = {"start": start, "settings": []}

    def attempt(name: str, setting: Setting) -> None:
        if time.monotonic() - began > seconds:
            return
        for keep, row in scored(encoder, data, mined, setting, 0).items():
            delta = {key: row[key] - start[key] for key in start} | {"loss": row["loss"]}
            found["settings"].append(
                {"name": name, "setting": asdict(replace(setting, keep=keep)), **delta}
            )
            shown = " ".join(f"{key} {100 * value:+.2f}" for key, value in delta.items())
            say(f"{time.monotonic() - began:4.0f} s  {name:12} keep {keep}: {shown}")
        out.write_text(json.dumps(found))

    for name, setting in ALONE.items():
        attempt(name, setting)
    for name, setting in SEARCH.items():
        attempt(name, setting)
    for turn in range(100):
        if time.monotonic() - began > seconds:
            break
        attempt(f"mix{turn}", _crossed(found, random.Random(turn)))
    for questions in {one["setting"]["questions"] for one in found["settings"]}:
        say(f"best, questions {questions}: {best(found, questions=questions)}")


def best(found: Mapping[str, Any], *, questions: bool) -> Setting:
    """The setting with the largest gain among those that keep the guard sets, if any do."""
    tried = [one for one in found["settings"] if one["setting"]["questions"] == questions]
    held = [one for one in tried if min(one[name] for name in GUARDS) > -0.005] or tried
    chosen = max(held, key=lambda one: one["gain"])
    return Setting(**{**chosen["setting"], "kinds": tuple(chosen["setting"]["kinds"])})


def _crossed(found: Mapping[str, Any], chance: random.Random) -> Setting:
    """Fields drawn from the best ten settings, and one of them changed."""
    ranked = sorted(
        (one for one in found["settings"] if one["setting"]["questions"]),
        key=lambda one: -one["gain"],
    )
    parents = [one["setting"] for one in ranked[:10]]
    drawn = {field: chance.choice(parents)[field] for field in parents[0]}
    changes: dict[str, tuple[Any, ...]] = {
        "rate": (2e-5, 5e-5, 1e-4, 2e-4),
        "epochs": (2, 4, 8),
        "batch": (64, 128, 256),
        "temperature": (0.02, 0.03, 0.05, 0.1),
        "negatives": (0, 1, 2, 4, 7),
        "positives": (1, 2, 4),
        "pairs": (0, 1, 2, 4, 8),
        "first": (0, 5, 10),
        "own": (True, False),
        "answers": (True, False),
    }
    for field in chance.sample(sorted(changes), 2):
        drawn[field] = chance.choice(changes[field])
    drawn["epochs"] = min(drawn["epochs"], 20 / (1 + drawn["pairs"]))  # so that none takes minutes
    return Setting(**{**drawn, "kinds": tuple(drawn["kinds"]), "keep": 1.0})


def final(folder: Path, out: Path, chosen: Path, seeds: int) -> None:
    """Train the chosen settings on all four books, and test; scores of each question are kept."""
    data, encoder = Data(folder), Encoder(folder)
    asked = [book for fold in FOLDS for book in fold]
    choice = json.loads(chosen.read_text())
    questions, alone = best(choice, questions=True), best(choice, questions=False)
    tests = {"openstax": lambda: by_module(encoder, data, TEST)}
    tests |= {name: (lambda name=name: by_qrels(encoder, data.sets[name])) for name in data.sets}
    found: dict[str, Any] = {"start": {name: test() for name, test in tests.items()}, "runs": []}
    found["start"]["openstax-128"] = by_module(encoder, data, TEST, 128)
    found["questions"] = [one["id"] for one in data.of(TEST)]
    say("start " + " ".join(f"{k} {_mean(v):.4f}" for k, v in found["start"].items()))
    mined = Mined(encoder, data)
    arms = {
        "pairs": alone,
        "pairs, none of the tested books": replace(alone, own=False),
        "infonce": questions,
        "redapter": replace(questions, redapter=True),
        "infonce, questions only": replace(questions, pairs=0),
    }
    for seed in range(seeds):
        for name, setting in arms.items():
            began = time.monotonic()
            books = sorted(
                {book for _, book, _ in data.passages} - ({*TEST} if not setting.own else set())
            )
            losses = train(encoder, mined.examples(setting, asked, books, seed), setting, seed)
            seconds = time.monotonic() - began
            encoder.mix(setting.keep)
            scores = {one: test() for one, test in tests.items()}
            run = {"arm": name, "seed": seed, "setting": asdict(setting), "seconds": seconds}
            found["runs"].append(run | {"losses": losses, "scores": scores})
            gains = " ".join(
                f"{one} {100 * (_mean(row) - _mean(found['start'][one])):+.2f}"
                for one, row in scores.items()
            )
            say(f"{name}, seed {seed}, {len(losses)} steps in {seconds:.0f} s: {gains}")
            out.write_text(json.dumps(found))
            if name == "infonce" and seed == 0:
                save(encoder, out.with_suffix(".safetensors"))


def save(encoder: Encoder, path: Path) -> None:
    """The weights, in float16 to be carried."""
    from safetensors.torch import save_file

    state = {
        key: value.half().contiguous()
        for key, value in encoder.body.state_dict().items()
        if value.is_floating_point()
    }
    save_file(state, path, {"format": "pt"})


def report(path: Path) -> None:
    """Tables with paired tests of what `final` wrote."""
    from benchmarks.common import table
    from eval.statistics.intervals import mean_interval
    from eval.statistics.paired import paired_t

    found = json.loads(path.read_text())
    rows, scifact = [], _mean(found["start"]["scifact"])
    for run in found["runs"]:
        before, after = found["start"]["openstax"], run["scores"]["openstax"]
        test = paired_t(after, before)
        low, high = _ends(mean_interval([a - b for a, b in zip(after, before, strict=True)]))
        rows.append(
            [
                run["arm"], run["seed"], len(run["losses"]), f"{_mean(before):.4f}",
                f"{_mean(after):.4f}", f"{100 * (_mean(after) - _mean(before)):+.2f}",
                f"{100 * low:+.2f} to {100 * high:+.2f}", f"{test.p:.2g}",
                f"{100 * (_mean(run['scores']['scifact']) - scifact):+.2f}",
            ]
        )  # fmt: skip
    table(
        ["arm", "seed", "steps", "before", "after", "points", "95 % interval", "p", "SciFact"], rows
    )


def _ends(interval: Any) -> tuple[float, float]:
    return interval.low, interval.high


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def say(line: str) -> None:
    """Print at once: the machine may be taken away."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["prepare", "search", "final", "report"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--chosen", type=Path)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.part == "prepare":
        prepare(chosen.folder, chosen.data)
    elif chosen.part == "search":
        search(chosen.folder, chosen.out, chosen.seconds)
    elif chosen.part == "final":
        final(chosen.folder, chosen.out, chosen.chosen, chosen.seeds)
    else:
        report(chosen.folder)


if __name__ == "__main__":
    main()
