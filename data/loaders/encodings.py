"""Which encoding the bytes of a text are in."""

import codecs
import re
from dataclasses import dataclass

from data.blocks import LoadWarning
from data.cleaning import clean, without_blobs
from data.errors import UnreadableFile

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = dict.fromkeys(set(range(32)) - set(b"\t\n\r\f\v\x1b\x08"))
_MAX_CONTROLS = 0.02
_SAMPLE = 65_536
_STRAY = re.compile("[\udc80-\udcff]")
_RUN = re.compile(rb"[\x80-\xff]+")
_ALPHABETS = (  # letters beyond ASCII of languages whose encodings statistics mix up
    ("cp1252", "äöüß"), ("cp1252", "àâæçéèêëîïôùûüÿœ"), ("cp1252", "áéíñóúü¿¡ºª"),
    ("cp1252", "àáâãçéêíóôõúºª"), ("cp1252", "àèéìíòóù"), ("cp1252", "æøåéóäöü"),
    ("cp1254", "çğıöşüâî"), ("cp1252", "áæéíóöúýþð"), ("cp1252", "ëïéèóöü"),
    ("cp1250", "ąćęłńóśźż"), ("cp1250", "áčďéěíňóřšťúůýž"), ("cp1250", "áäčďéíĺľňóôŕšťúýž"),
    ("cp1250", "áéíóöőúüű"), ("cp1250", "ăâîşţ"), ("cp1250", "čćđšž"), ("cp1257", "āčēģīķļņšūž"),
    ("cp1257", "ąčęėįšųūž"), ("cp1257", "äõöüšž"),
    ("iso8859_2", "ąćęłńóśźż"), ("iso8859_2", "áčďéěíňóřšťúůýž"),
    ("iso8859_2", "áäčďéíĺľňóôŕšťúýž"), ("iso8859_2", "čćđšž"), ("mac_roman", "äöüß"),
    ("mac_roman", "àâçéèêëîïôùûœ"), ("cp850", "äöüß"), ("cp852", "ąćęłńóśźż"),
)  # fmt: skip
_LIKELY = [
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp874", "koi8_r", "koi8_u", "cp866",
    "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
]  # fmt: skip
_WIDER = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030",
    "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
"""What is written under the name of a smaller encoding (https://encoding.spec.whatwg.org, §4.2)."""
_KANA = re.compile("[\u3040-\u30ff]")
_SYLLABLES = frozenset(
    "이다는을의에가고하지로기은를한사도리어자나인시대아그해서수있일정들라부과전보여구상제"
    "만장면게주동으원성스것생공조년비오우세관방유요국적화안개선무신경연모야없문진명소위물마"
    "당중단계회실내간용미분발바트르드산재합터행월호번름격금약점검록브형식품질환업종류객관련광고교육"
)
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_EAST_ASIAN = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_UTF_16 = ("utf-16-le", "utf-16-be")
_LETTERS = re.compile(r"[^\W_]|[\s.,;:!?()\"'%/-]|[\u3000-\u303f\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and what a reader of the report should know about its bytes."""

    text: str
    warnings: tuple[LoadWarning, ...] = ()


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file cannot be text: NULs, or many control characters."""
    if any(head.startswith(mark) for mark, _ in _MARKS) or _wide(head):
        return False
    return b"\0" in head or _controls(head.decode("latin-1")) > _MAX_CONTROLS * len(head)


def _controls(text: str) -> int:
    return len(text) - len(text.translate(_CONTROLS))


def decode(raw: bytes, name: str) -> Decoded:
    """The text of a file's bytes, cleaned, with line feeds as line ends, without base64 blobs.

    A byte-order mark decides; else UTF-8, also where single bytes spoil it; else statistics
    (charset-normalizer), which a warning says. Raises UnreadableFile for binary content or a wrong
    byte-order mark; `name` is used in its message.
    """
    if looks_binary(raw[:8192]):
        raise UnreadableFile(f"cannot read {name}", cause="its content is binary, not text")
    text, warnings = _decoded(raw, name)
    kept = without_blobs(clean(text))
    return Decoded(kept, warnings)


def declared_encoding(raw: bytes, label: str | None) -> str | None:
    """The encoding of bytes that are said to be in one: a label's as browsers understand it.

    UTF-8 is that whatever is said of it. None where the label names no encoding.
    """
    if is_utf8(raw):
        return "utf-8"
    try:
        name = codecs.lookup(label or "").name
    except LookupError:
        return None
    return _WIDER.get(name, name)


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8 with letters beyond ASCII, which no other encoding looks like."""
    try:
        return not raw.isascii() and bool(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _decoded(raw: bytes, name: str) -> tuple[str, tuple[LoadWarning, ...]]:
    marked = next((code for mark, code in _MARKS if raw.startswith(mark)), None)
    if marked:
        try:
            return raw.decode(marked), ()
        except UnicodeDecodeError as error:
            raise UnreadableFile(
                f"cannot read {name}", cause=f"its byte-order mark says {marked}, its bytes do not"
            ) from error
    if code := _wide(raw[:8192]):
        return raw.decode(code, "replace"), _guessed(code)
    try:
        return raw.decode("utf-8"), ()
    except UnicodeDecodeError:
        pass
    return _nearly_utf8(raw) or _by_statistics(raw)


def _nearly_utf8(raw: bytes) -> tuple[str, tuple[LoadWarning, ...]] | None:
    """UTF-8 with stray bytes, each read as Windows-1252; None where it is something else."""
    text = raw.decode("utf-8", "surrogateescape")
    strays = len(_STRAY.findall(text))
    good = sum(1 for character in text if character > "\x7f") - strays
    if good < strays:
        return None
    mended = _STRAY.sub(
        lambda match: bytes([ord(match[0]) - 0xDC00]).decode("cp1252", "replace"), text
    )
    what = "byte is" if strays == 1 else "bytes are"
    return mended, (LoadWarning(f"{strays} {what} no UTF-8 and read as Windows-1252"),)


def _by_statistics(raw: bytes) -> tuple[str, tuple[LoadWarning, ...]]:
    from charset_normalizer import from_bytes

    lines = [line for line in raw[: 8 * _SAMPLE].splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:_SAMPLE]
    code = next((code for code in ("cp932", "euc_jp") if _is_japanese(sample, code)), "")
    if not code and _is_latin(sample):
        code = _latin(sample)
    if not code:
        best = from_bytes(sample, threshold=0.4, cp_isolation=_LIKELY).best()
        if best is not None and len(_HALF_WIDTH.findall(str(best))) > len(str(best)) // 4:
            others = [each for each in _LIKELY if each != best.encoding]  # it was no kana
            best = from_bytes(sample, threshold=0.4, cp_isolation=others).best()
        code = best.encoding if best is not None else "cp1252"
        if code == "cp949" and not _is_korean(str(best)):
            code = "gb18030"
    for encoding in (code, "cp1252", "latin-1"):
        try:
            return raw.decode(encoding), _guessed(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode(code, "replace"), _guessed(code)


def _is_japanese(sample: bytes, code: str) -> bool:
    """Whether it has kana, which in Shift-JIS look like single bytes among letters of ASCII."""
    try:
        text = sample.decode(code)
    except UnicodeDecodeError:
        return False
    return len(_KANA.findall(text)) > 0.2 * sum(not letter.isascii() for letter in text)


def _is_korean(text: str) -> bool:
    """Whether the commonest syllables of Korean are among its characters beyond ASCII."""
    letters = [letter for letter in text if letter > "\x7f"]
    return sum(letter in _SYLLABLES for letter in letters) > 0.2 * len(letters)


def _is_latin(sample: bytes) -> bool:
    """Whether bytes beyond ASCII are single letters of words, or touch such letters."""
    runs = list(_RUN.finditer(sample))
    single = sum(run.end() - run.start() == 1 for run in runs)
    if single > 0.6 * len(runs):
        return True
    touching = sum(
        sample[run.start() - 1 : run.start()].isalpha()
        or sample[run.end() : run.end() + 1].isalpha()
        for run in runs
    )
    return max(run.end() - run.start() for run in runs) <= 4 and touching > 0.8 * len(runs)


def _latin(sample: bytes) -> str:
    """The encoding in which one language explains most of the letters beyond ASCII."""

    def explained(row: tuple[str, str]) -> int:
        code, letters = row
        text = sample.decode(code, "replace").lower()
        return sum(text.count(letter) for letter in letters)

    return max(_ALPHABETS, key=explained)[0]


def _guessed(code: str) -> tuple[LoadWarning, ...]:
    return (LoadWarning(f"its encoding was guessed: {codecs.lookup(code).name}"),)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte is like the others of its place."""
    head = head[: len(head) // 2 * 2]
    if len(head) < 4:
        return None
    low, high = head[0::2], head[1::2]
    if b"\0" not in head:  # Chinese or Japanese alone, whose bytes are controls now and then
        if head.isascii() or not _controls(head.decode("latin-1")):
            return None
        return next((code for code in _UTF_16 if _is_east_asian(head, code)), None)
    for code, zeros, others in zip(_UTF_16, (high, low), (low, high), strict=True):
        share = zeros.count(0) / len(zeros)
        if others.count(0) == 0 and share > 0.02:
            text = head.decode(code, "replace")
            if _controls(text) > _MAX_CONTROLS * len(text):
                return None
            if share > 0.4 or len(_LETTERS.findall(text)) > 0.9 * len(text):
                return code
    return None


def _is_east_asian(head: bytes, code: str) -> bool:
    text = head.decode(code, "replace")
    return len(_EAST_ASIAN.findall(text)) > 0.95 * len(text)
