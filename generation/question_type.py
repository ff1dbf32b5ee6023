"""What a question asks, what kind of answer it wants, and whether a sentence has one."""

import re
from collections.abc import Collection
from typing import Final

from data.sentences import split_sentences
from data.text import QUESTION_STOP_WORDS

_MONTH: Final = (
    r"jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|février|mar(?:ch|s|zo)?|märz|apr(?:il)?|abril|avril|"
    r"may|mai|maj|mayo|jun[ei]?|juin|junio|jul[yi]?|juillet|julio|aug(?:ust)?|août|agosto|"
    r"sep(?:t(?:ember|embre|iembre)?)?|oct(?:ober|obre|ubre)?|okt(?:ober)?|nov(?:ember|embre|iembre)?|"
    r"de[cz](?:ember|iembre)?|décembre"
)
_DATE: Final = re.compile(
    rf"\b1[0-9]{{3}}\b|\b20[0-9]{{2}}\b|\b(?:{_MONTH})\b|\b\d{{1,2}}[:.]\d{{2}}\b"
    r"|\b\d+(?:st|nd|rd|th)\b"
    r"|\b(?:century|decade|year|years|ago|morning|evening|night|noon|midnight|spring|summer|autumn|"
    r"winter|today|yesterday|tomorrow|monday|tuesday|wednesday|thursday|friday|saturday|sunday|"
    r"jahr|jahrhundert|uhr|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|daily|weekly|"
    r"monthly|before|after|during|until|hours?|days?|weeks?|months?)\b|[年月日時点]",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(
    r"\d|[¼-¾⅓-⅞]|[一二三四五六七八九十百千万两]|"
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|dozens?|half|third|"
    r"thirds|quarters?|twice|double|triple|once|several|no|none|zwei|drei|vier|fünf|sechs|sieben|acht|"
    r"neun|zehn|elf|zwölf|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|dos|tres|cuatro|cinco|seis|"
    r"siete|ocho|nueve|diez|to|tre|fire|fem|seks|syv|otte|ni|ti)\b",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"\b[A-ZÀ-ÞА-Я][\w'’-]+")
_REASON: Final = re.compile(
    r"\b(?:because|since|due|owing|as a result|so that|in order|to (?:avoid|prevent|keep|make|"
    r"allow|reduce|protect)|therefore|caused?|causes|reason|leads?|weil|denn|da|damit|wegen|parce|car|afin|"
    r"porque|para|fordi)\b",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(
    r"\b(?:in|at|on|near|under|behind|beside|between|inside|from|to|im|am|unter|hinter|neben|à|dans|"
    r"sous|en|bajo|i|på|ved)\s+(?:the\s+|der\s+|dem\s+|la\s+|le\s+|el\s+)?[\wÀ-ÿ]",
    re.IGNORECASE,
)

_MEASURED: Final = (
    r"percentage|percent|number|amount|population|price|cost|rate|temperature|pressure|speed|age|size|"
    r"height|length|width|depth|weight|distance|area|limit|dose|capacity|voltage|score|ratio|share|"
    r"fraction|flow"
)
_ASKING: Final = (
    # what a question has behind "when"; behind that of "when the flow grows" there is none
    r"(?:is|are|was|were|do|does|did|will|would|can|could|shall|should|may|might|must|has|have|had)"
    r"(?:n['’]t)?\b"
)
_TYPES: Final = (
    (
        "number",
        r"how (?:many|much|long|far|old|often|large|big|high|tall|deep|fast|wide|heavy|hot|cold|"
        r"thick|late|soon|strong|loud)\b"
        r"|(?:what|which) (?:(?:is|was|are|were) the (?:\w+ ){0,2}?|(?:\w+ )?)"
        rf"(?:{_MEASURED})\b"
        r"|wie ?viele?\b|wie (?:hoch|lang|groß|alt|weit|schwer|tief|teuer|oft)\b|combien\b|"
        r"cu[aá]nt[oa]s?\b|hvor (?:mange|meget|langt?|højt?|stor)\b|多少|几|幾|いくつ|いくら",
    ),
    (
        "time",
        rf"when(?: exactly)? {_ASKING}|when *[?]"
        r"|(?:what|which) (?:\w+ )?(?:year|date|day|time|month|century|decade|season)\b|"
        r"wann\b|quand\b|cu[aá]ndo\b|hvornår\b|什么时候|何时|いつ|何時",
    ),
    (
        "person",
        r"who\b|whom\b|whose\b|wer\b|wem\b|wen\b|qui\b|qui[eé]n(?:es)?\b|hvem\b|谁|誰|"
        r"what (?:was|is) the name|which (?:person|player|team|company|king|queen|president|author|"
        r"scientist)\b",
    ),
    (
        "place",
        r"where\b|(?:what|which) (?:city|country|state|place|town|room|building|street|river)\b|"
        r"wo\b|woher\b|wohin\b|où\b|d[oó]nde\b|hvor\b|哪里|哪儿|どこ",
    ),
    ("reason", r"why\b|warum\b|weshalb\b|wieso\b|pourquoi\b|por qu[eé]\b|hvorfor\b|为什么|なぜ"),
)
_PATTERNS: Final = tuple(
    # at the beginning of a word: there is no German "wer" in "lower"
    (name, re.compile(rf"(?<![0-9A-Za-zÀ-ÿ])(?:{words})", re.IGNORECASE))
    for name, words in _TYPES
)


def asking_part(question: str) -> str:
    """The sentences of a question that end in a question mark; all of it where none does.

    What a person tells beforehand, so that they are understood, is not what they want to know.
    """
    sentences = [question[start:end] for start, end in split_sentences(question)]
    asking = [one for one in sentences if one.rstrip("\"'”’»)]】」 ").endswith(("?", "？", "؟"))]
    return " ".join(asking) or question


def question_type(question: str) -> str:
    """Return ``number``, ``time``, ``person``, ``place`` or ``reason``; "" where it says none.

    Of several the one named first in the question counts, so that a preface does no harm.
    """
    found = [(m.start(), name) for name, pattern in _PATTERNS if (m := pattern.search(question))]
    return min(found, key=lambda one: one[0])[1] if found else ""


def has_answer(kind: str, sentence: str, asked: Collection[str]) -> bool:
    """Whether a sentence holds a name, date, number, place or reason that the question lacks."""
    match kind:
        case "number":
            return bool(_NUMBER.search(_without(sentence, asked)))
        case "time":
            return bool(_DATE.search(_without(sentence, asked)))
        case "person":
            names = _NAME.findall(_without(sentence, asked))
            return any(name.lower() not in QUESTION_STOP_WORDS for name in names)
        case "place":
            return bool(_PLACE.search(sentence))
        case "reason":
            return bool(_REASON.search(sentence))
    return False


def _without(sentence: str, asked: Collection[str]) -> str:
    """The sentence with a blank for each word of the question, and for its own first word."""
    words = re.split(r"(\W+)", sentence)
    return "".join(" " if word.lower() in asked else word for word in words)
