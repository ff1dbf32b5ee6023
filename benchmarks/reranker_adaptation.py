"""A cross-encoder trained on textbook questions, over hybrid's best 20 on books it never saw.

    .venv/bin/python -m benchmarks.reranker_adaptation prepare FOLDER
    python -m benchmarks.reranker_adaptation final FOLDER --out FILE --seconds 240 --seeds 3
    .venv/bin/python -m benchmarks.reranker_adaptation report FILE

`prepare` needs the data sets and this package; `final` only torch, transformers, sentence-
transformers, numpy and pydantic, so that it runs on a rented GPU. The data, its books and their
parts are those of `benchmarks.minilm_adaptation`; examples, labels and loss those of `rag-app train
--kind reranker`, which starts from the same MiniLM weights with a new head. How it is trained, and
what the grade weighs against hybrid's score, is chosen on the training books alone: trained on two
of them, tested on the two others, both ways round. The test books are looked at once, at the end.
"""

import argparse
import bz2
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import minilm_adaptation as books
from benchmarks.minilm_adaptation import FOLDS, TEST, Data, Encoder, Mined, Setting, cut, say

CANDIDATES, DEPTH = 20, 100
LENGTH = 256
"""Tokens of a pair."""
WEIGHTS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the grade, against hybrid's score brought to 0..1."""
BASE = Setting(batch=32, negatives=4, first=0, last=50, rate=5e-5, epochs=2, positives=2)
SETTINGS = {
    "questions": BASE,
    "questions, 4 epochs": replace(BASE, epochs=4),
    "questions, 1e-4": replace(BASE, rate=1e-4, epochs=4),
    "questions, from rank 5": replace(BASE, first=5, epochs=4),
    "questions, 8 negatives": replace(BASE, negatives=8, epochs=4),
    "with pairs": replace(BASE, pairs=2),
    "with pairs of the tested books": replace(BASE, pairs=4, own=True),
    "... 1e-4": replace(BASE, pairs=4, own=True, rate=1e-4),
    "... and answers": replace(BASE, pairs=4, own=True, answers=True, rate=1e-4),
}


# ------------------------------------------------------------------------------------- preparing


def prepare(folder: Path, data: Path) -> None:
    """What `minilm_adaptation` prepares, and BM25's best passages of each question."""
    from scipy.sparse import csr_array

    from retrieval.analysis import Analyzer
    from retrieval.bm25 import BM25, average

    if not (folder / "data.json.bz2").is_file():
        books.prepare(folder, data)
    kept = Data(folder)
    lexical = BM25(Analyzer("english"), k3=1.5, title_weight=2, pair_weight=0.3)

    def matrix(vectors: Sequence[Any], width: dict[int, int]) -> Any:
        cells = [(at, width.setdefault(i, len(width)), value) for at, one in enumerate(vectors)
                 for i, value in zip(one.indices, one.values, strict=True)]  # fmt: skip
        rows, columns, values = (np.array(part) for part in zip(*cells, strict=True))
        return rows, columns, values

    found: dict[str, list[tuple[int, float]]] = {}
    for part in (TEST, *FOLDS):
        questions, rows = kept.of(part), _pool(kept, part)
        counted = [lexical.count(kept.passages[row][2]) for row in rows]
        mean = average([one.length for one in counted])
        width: dict[int, int] = {}
        at, terms, values = matrix([lexical.weigh(one, mean) for one in counted], width)
        asked_at, asked, asked_values = matrix(
            [lexical.encode_query(one["q"]) for one in questions], width
        )
        holders = np.bincount(terms, minlength=len(width))
        idf = np.log(1 + (len(rows) - holders + 0.5) / (holders + 0.5))
        passages = csr_array((values, (at, terms)), shape=(len(rows), len(width)))
        queries = csr_array(
            (asked_values * idf[asked], (asked_at, asked)), shape=(len(questions), len(width))
        )
        for question, scores in zip(questions, (queries @ passages.T).toarray(), strict=True):
            best = np.argsort(-scores, kind="stable")[:DEPTH]
            found[question["id"]] = [
                (rows[place], round(float(scores[place]), 4)) for place in best if scores[place] > 0
            ]
    (folder / "bm25.json.bz2").write_bytes(bz2.compress(json.dumps(found).encode()))


def _pool(data: Data, part: Sequence[str]) -> list[int]:
    """Rows of the passages that are searched: those of the modules that are asked about."""
    asked = {one["g"] for one in data.of(part)}
    return [row for row, passage in enumerate(data.passages) if passage[0] in asked]


# --------------------------------------------------------------------------------------- scoring


class Test:
    """The questions of some books, and hybrid's candidates of each."""

    def __init__(
        self, encoder: Encoder, data: Data, part: Sequence[str], bm25: Mapping[str, Any]
    ) -> None:
        from retrieval.fusion import MinMaxFusion

        self.data, self.questions = data, data.of(part)
        rows = _pool(data, part)
        vectors = encoder.vectors([data.passages[row][2] for row in rows])
        scores = encoder.vectors([one["q"] for one in self.questions]) @ vectors.T
        values, places = (one.cpu().numpy() for one in scores.topk(min(DEPTH, len(rows))))
        fusion = MinMaxFusion()
        self.hybrid: list[list[tuple[int, float]]] = []
        for at, one in enumerate(self.questions):
            dense = [
                (str(rows[place]), float(value))
                for place, value in zip(places[at], values[at], strict=True)
            ]
            fused = fusion.fuse(dense, [(str(row), score) for row, score in bm25[one["id"]]])
            self.hybrid.append([(int(row), score) for row, score in fused])

    def grades(self, model: "Reranker") -> list[list[float]]:
        """The model's grade, 0 to 1, of each question's candidates."""
        pairs = [
            (one["q"], self.data.passages[row][2])
            for one, found in zip(self.questions, self.hybrid, strict=True)
            for row, _ in found[:CANDIDATES]
        ]
        grades = model.grades(pairs)
        counts = np.cumsum([len(found[:CANDIDATES]) for found in self.hybrid])[:-1]
        return [part.tolist() for part in np.split(grades, counts)]

    def ndcg(self, grades: Sequence[Sequence[float]] | None, weight: float = 1.0) -> list[float]:
        """nDCG@10 to the module of each question; None: as hybrid has them."""
        from retrieval.reranking.interpolation import interpolate, order

        found = []
        for at, one in enumerate(self.questions):
            ranked = [row for row, _ in self.hybrid[at]]
            if grades is not None:
                scores = [score for _, score in self.hybrid[at][:CANDIDATES]]
                places = order(interpolate(grades[at], scores, weight, "minmax"))
                ranked = [ranked[place] for place in places] + ranked[CANDIDATES:]
            modules = list(dict.fromkeys(self.data.passages[row][0] for row in ranked))[:10]
            hit = one["g"] in modules
            found.append(1 / math.log2(modules.index(one["g"]) + 2) if hit else 0.0)
        return found


# -------------------------------------------------------------------------------------- training


class Reranker:
    """MiniLM with a new head, and the encoder's tokenizer over pairs."""

    def __init__(self, folder: Path, encoder: Encoder, seed: int) -> None:
        import torch
        from transformers import BertForSequenceClassification

        torch.manual_seed(seed)
        self.device, self._encoder = encoder.device, encoder
        self.model: Any = BertForSequenceClassification.from_pretrained(
            str(folder), num_labels=1, dtype=torch.float32, use_safetensors=True
        )
        self.model = self.model.to(self.device)

    def logits(self, pairs: Sequence[tuple[str, str]]) -> Any:
        """The score of each pair, before any sigmoid: [pairs]."""
        import torch

        texts = [text for pair in pairs for text in pair]
        ids = self._encoder.ids(texts)
        made = []
        for at in range(0, len(ids), 2):
            query = cut(ids[at], LENGTH // 2)
            made.append((query, cut(ids[at + 1][1:], LENGTH - len(query))))  # without [CLS]
        width = -(-max(len(q) + len(p) for q, p in made) // 8) * 8
        tokens, kinds = np.zeros((2, len(made), width), np.int64)
        for row, (query, passage) in enumerate(made):
            end = len(query) + len(passage)
            tokens[row, :end] = query + passage
            kinds[row, len(query) : end] = 1
        there = torch.from_numpy(tokens).to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            found = self.model(
                input_ids=there,
                attention_mask=(there > 0).long(),
                token_type_ids=torch.from_numpy(kinds).to(self.device),
            )
        return found.logits.float()[:, 0]

    def grades(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """The sigmoid of the score of each pair, float64 [pairs]."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            parts = [self.logits(pairs[at : at + 512]) for at in range(0, len(pairs), 512)]
            return torch.cat(parts).double().sigmoid().cpu().numpy()

    def train(self, examples: Sequence[Any], setting: Setting, seed: int) -> list[float]:
        """The loss of every step."""
        import torch

        from retrieval.training.batches import rows
        from retrieval.training.reranker import pairs

        order = rows(
            examples, batch_size=setting.batch, negatives=setting.negatives,
            epochs=setting.epochs, seed=seed,
        )  # fmt: skip
        table = pairs(order)
        size = setting.batch * (1 + setting.negatives)
        steps = len(table["label"]) // size
        weight = torch.tensor(float(setting.negatives), device=self.device)
        entropy = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=setting.rate, weight_decay=0.01)
        warm = max(1, steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
        )
        self.model.train()
        losses = []
        for step in range(steps):
            part = slice(step * size, (step + 1) * size)
            batch = list(zip(table["query"][part], table["passage"][part], strict=True))
            labels = torch.tensor(table["label"][part], device=self.device)
            loss = entropy(self.logits(batch), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return [float(one) for one in losses]


# --------------------------------------------------------------------------------- the experiment


def final(folder: Path, out: Path, seconds: float, seeds: int) -> None:
    """Choose on the training books while there is time, then train and test by seed."""
    data, encoder, began = Data(folder), Encoder(folder), time.monotonic()
    bm25 = json.loads(bz2.decompress((folder / "bm25.json.bz2").read_bytes()))
    mined = Mined(encoder, data)
    folds = [Test(encoder, data, part, bm25) for part in FOLDS]
    start = _mean([_mean(trial.ndcg(None)) for trial in folds])
    say(f"{encoder.device}: hybrid on the training books {start:.4f}")
    found: dict[str, Any] = {"folds": start, "tried": [], "runs": []}
    for name, setting in SETTINGS.items():
        if found["tried"] and time.monotonic() - began > seconds:
            break
        gains = np.zeros(len(WEIGHTS))
        for fold, trial in enumerate(folds):
            asked, tested = FOLDS[1 - fold], FOLDS[fold]
            model = Reranker(folder, encoder, 0)
            trained_on = books.searched(data, setting, tested)
            model.train(mined.examples(setting, asked, trained_on, 0), setting, 0)
            grades = trial.grades(model)
            gains += [_mean(trial.ndcg(grades, weight)) / len(FOLDS) for weight in WEIGHTS]
        best = int(gains.argmax())
        row = {"name": name, "weight": WEIGHTS[best], "gain": 100 * (gains[best] - start)}
        found["tried"].append(row | {"setting": asdict(setting), "all": gains.tolist()})
        say(f"{time.monotonic() - began:4.0f} s  {name:32} {row['gain']:+.2f} at {WEIGHTS[best]}, "
            f"by weight {' '.join(f'{100 * (one - start):+.2f}' for one in gains)}")  # fmt: skip
        out.write_text(json.dumps(found))
    chosen = max(found["tried"], key=lambda one: one["gain"])
    setting, weight = SETTINGS[chosen["name"]], chosen["weight"]
    test = Test(encoder, data, TEST, bm25)
    found["questions"] = [one["id"] for one in test.questions]
    found["before"], found["chosen"] = test.ndcg(None), chosen
    say(f"chosen: {chosen['name']}, weight {weight}; hybrid {_mean(found['before']):.4f}")
    asked_all = [book for part in FOLDS for book in part]
    trained_on = sorted(
        {book for _, book, _ in data.passages} - (set() if setting.own else {*TEST})
    )
    for seed in range(seeds):
        at = time.monotonic()
        model = Reranker(folder, encoder, seed)
        losses = model.train(mined.examples(setting, asked_all, trained_on, seed), setting, seed)
        took = time.monotonic() - at
        grades = test.grades(model)
        after, unmixed = test.ndcg(grades, weight), test.ndcg(grades)
        run = {"seed": seed, "seconds": took, "losses": losses}
        found["runs"].append(run | {"after": after, "grade alone": unmixed})
        gain, alone = (100 * (_mean(one) - _mean(found["before"])) for one in (after, unmixed))
        say(f"seed {seed}, {len(losses)} steps in {took:.0f} s: {gain:+.2f} "
            f"(grade alone {alone:+.2f}), loss {_mean(losses[-10:]):.3f}")  # fmt: skip
        out.write_text(json.dumps(found))


def report(path: Path) -> None:
    """A table with paired tests of what `final` wrote."""
    from benchmarks.common import table
    from eval.statistics.intervals import mean_interval
    from eval.statistics.paired import paired_t

    found = json.loads(path.read_text())
    before, chosen, rows = found["before"], found["chosen"], []
    print(f"{chosen['name']}, weight of the grade {chosen['weight']}, {len(before)} questions\n")
    for run in found["runs"]:
        for name in ("after", "grade alone"):
            after = run[name]
            interval = mean_interval([a - b for a, b in zip(after, before, strict=True)])
            rows.append(
                [
                    name, run["seed"], len(run["losses"]), f"{_mean(before):.4f}",
                    f"{_mean(after):.4f}", f"{100 * (_mean(after) - _mean(before)):+.2f}",
                    f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}",
                    f"{paired_t(after, before).p:.2g}",
                ]
            )  # fmt: skip
    table(["order", "seed", "steps", "hybrid", "reranked", "points", "95 % interval", "p"], rows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    """Do one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["prepare", "final", "report"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.part == "prepare":
        prepare(chosen.folder, chosen.data)
    elif chosen.part == "final":
        final(chosen.folder, chosen.out, chosen.seconds, chosen.seeds)
    else:
        report(chosen.folder)


if __name__ == "__main__":
    main()
