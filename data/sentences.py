"""Where sentences begin and end, in any language.

The rules need no language to be named: a full stop that belongs to an abbreviation, an initial, an
ordinal ("am 3. Juni") or a list number ends no sentence. Punkt (Kiss and Strunk 2006,
https://aclanthology.org/J06-4003/) parts the same three cases; here they are read from lists of
abbreviations and of words that begin sentences, since a passage is too short to learn them from.
docs/decisions tells which libraries were tried.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEFORE_NAMES: Final = _words(
    # titles and what else always has something behind it, in English, German, the Romance and the
    # Nordic languages, Dutch, Polish, Czech and Russian; without the last full stop
    "dr dra drs prof profs mr mrs messrs rev revd gen lt sgt capt cpt cmdr gov mme mlle mgr frl "
    "dipl hrn sr sra srta sres dña dn ud uds vd sig sigg dott dott.ssa avv geom inż ul św г ул д "
    "проф им акад vs v cf cfr vgl resp bzw bspw e.g i.e eg ie viz z.b d.h u.a o.g i.d.r i.h.v "
    "v.a s.o s.u o.ä m.e z.t z.zt i.v i.a c.-à-d p.ex p.ej t.ex f.eks bl.a f.x dvs jfr jf env "
    "aprox evtl ggf lt inkl incl exkl excl zzgl abzgl mindest sog bd boul avda avd pza str prot "
    "est geb gest geg ehem einschl insb insbes lfd vorm nachm kl pr el ev og kgl tzv např zn "
    "m.in т.е т.к напр др см ср godz dhr mevr mw bijv nl o.a m.b.t univ bzgl med exma exmo attn "
    "matt κ "
)
_BEFORE_NAMES_IN_CAPITALS: Final = _words(
    "Hr Fr Fa Ms M MM Me Mm Mag Ing Col Maj Hon Rt Mt Pres Sen Rep Sta Sto Herr Inst Gebr Av Abt D "
)
_BEFORE_NUMBERS: Final = _words(
    "no nos nr nrs nº núm num n art arts abs abb ziff ziffer abschn kap tab anl anh bl bd bde rn "
    "rz fig figs figg eq eqs gl sec sect secs sek chap chaps cap caps ch app pp p pag pág págs "
    "pgs s ss vol vols hft ed eds lit gr kat pos pkt st stk par para paras al alin lig jg stck "
    "cl cols zl ex ann lib ver vers v č str стр гл рис табл п ст № op sq fol hl mo di mi do fr "
    "sa so lun mar mer jeu ven ext ref refs tlf tel tél fon rd mind min max ca approx circa av "
    "jan feb febr mär mar apr jun jul aug sep sept oct okt nov dec dez déc janv févr juil tue thu "
    "кв корп αρ"
)
_BEFORE_EITHER: Final = _words(
    # these end a sentence where a word follows that often begins one
    "etc usw usf osv m.m u.dgl inc ltd corp co bros plc llc jr esq ph.d m.d b.a m.a d.c u.s u.k "
    "u.n e.u ee.uu s.a s.l a.m p.m am pm ibid ib ebd al e.v gal stk mio mrd bn т.д т.п st ste ft "
    "dept gem hr hrs max min ca approx ave blvd rd sct mfl univ "
)
_MONTHS: Final = _words(
    "januar jänner februar feber märz april mai juni juli august september oktober november "
    "dezember january february march may june july october december januari februari maart mei "
    "juli augustus enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre marts maj janvier février mars avril juin juillet août septembre "
    "octobre novembre décembre desember tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta "
    "kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta jan feb mär mar "
    "apr jun jul aug sep sept okt oct nov dez dec "
)
_DAYS: Final = _words(
    "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch "
    "donnerstag freitag samstag sonnabend sonntag mon tue wed thu fri sat sun "
)
_AFTER_ORDINALS: Final = _words(
    "jahrhundert jh jhd jahrtausend quartal halbjahr stock stockwerk etage obergeschoss og "
    "auflage ausgabe weltkrieg klasse liga platz rang geburtstag semester schuljahr lebensjahr "
    "tag woche monat gang teil band fc sc advent verdenskrig århundrede sal klasse "
)
_BEFORE_ORDINALS: Final = _words(
    "am vom zum im beim zur ab bis seit der die das den dem des ein eine einem einer einen jeder "
    "jede jedes mein dein sein ihr unser und oder sowie von nach vor auf für den det de d fra "
    "til i på d. mandag tirsdag onsdag torsdag fredag lørdag søndag montag dienstag mittwoch "
    "donnerstag freitag samstag sonntag mo. di. mi. do. fr. sa. so. "
)
_ROMAN: Final = re.compile(r"(?=[IVXLC])(?:X{0,3}|XL|L)(?:IX|IV|V?I{0,3})\.?")
_STARTERS: Final = _words(
    "a about above according after all also although among an and another any as at because "
    "before both but by can could did do does during each either even every few finally first "
    "for from had has have he hence her here his how however i if in instead is it its later let "
    "many may most must my nearly neither next no nobody none nor not nothing now of often on "
    "once one only or other our others please second several shall she should similarly since so "
    "some still such take than that the their them then there therefore these they this those "
    "though thus to today two under unless until use was we were what when where whether which "
    "while who why with would yes yet you your aber alle allerdings als also am an auch auf aus "
    "außerdem bei beim bis bitte da dabei dafür dagegen daher damit danach dann darum das dass "
    "davon dazu dein den denn der des deshalb die dies diese dieser dieses doch dort durch ein "
    "eine einem einen einer er es falls für gegen heute hier ich ihr ihre im in ist jede jeder "
    "jedes jedoch jetzt kein keine mit nach nicht noch nun nur ob oder ohne sein seine seit sie "
    "sind so sobald später um und unter viele vom von vor war wann warum was weil wenn wer wie "
    "wir wird wo zu zum zur zwei au aucun aussi avant avec car ce cela celle ces cet cette "
    "chaque comme dans de depuis des donc du elle elles en ensuite est et il ils je la le les "
    "leur lors mais ne nous on or ou où par pas pendant plus pour puis quand que qui sa sans "
    "selon ses si son sous sur tous tout un une vous y a al algunos ante antes así aunque cada "
    "como con cuando de del desde después donde durante el ella ellos en entonces era es esa ese "
    "eso esta este esto están hay la las le lo los más mi muchos muy no nos o para pero por "
    "porque pues que quien se según ser si sin sobre su sus también tan todo todos tras un una y "
    "ya yo af alle at bare da de den denne der deres derfor det dette disse dog du efter eller "
    "en er et for fordi fra før han hans har havde hun hvad hvis hvor hvordan hvornår i ikke "
    "ingen jeg kun man med men mens mange ned nogle nu når og også om op over på sammen selv "
    "siden som så til ud under var ved vi vil være het een de van in op is zijn maar dit dat "
    "deze die ook als na bij il lo gli una nel nella con per che non sono è era questo questa w "
    "na i nie to jest się z do po oraz jak в и на не он она они это что как но его её с по для "
    "из при после потом затем здесь там этот эта мы вы я также если когда так "
)
_CLOSERS: Final = "\"'”’»›)\\]}»«“‘"
_REFERENCE: Final = r"\[(?:\d{1,3}|[a-z]|note \d{1,2})\]|[⁰¹²³⁴-⁹]"
"""What a sentence may have right behind its end: the mark of a note."""
_BOUNDARY: Final = re.compile(
    rf"(?<![.!?…؟۔।॥])(?P<stop>[.!?…؟۔।॥]++)"
    rf"(?P<closing>\s?»|[{_CLOSERS}]*+(?:{_REFERENCE})*+)(?=\s)"
    r"|(?P<wide>[。！？｡]+[”’」』）】》〉\"]*+)"
    r"|(?P<block>\n\s*\n|\n(?=[ \t]*(?:[-*•‣▪–+]|\d{1,3}[.)]|\#{1,6}|\||>|```)[ \t\S]))"
)
_WORD_BEFORE: Final = re.compile(r"\S+\Z")
_NEXT_WORD: Final = re.compile(r"[\s\"'“„‘«»‹(\[¿¡]*([^\W_]+(?:[.'’-][^\W\d_]+)*|\S)?")
_QUOTATIVE: Final = re.compile(r"\s*(?:と|って|という|、|，|[のがをはに])")
_MEASURED: Final = re.compile(r"[\d.,]*\d|sq\.|cu\.")
_CHAIN: Final = re.compile(
    r"(?:(?<=\s)|\A)((?:[^\W\d_]{1,2}\.[ \u00a0\u202f]?){1,3}[^\W\d_]{1,3})\Z"
)
_LONGEST_LOOK: Final = 48


def split_sentences(text: str, longest: int = 500) -> list[tuple[int, int]]:
    """Split ``text`` into sentences, in time that grows with its length.

    A sentence ends at ``. ! ? …`` and their like in other scripts, at an empty line, and before a
    list item, a heading or a row of a table. What runs on beyond ``longest`` characters (text
    without punctuation) is cut at white space.

    Args:
        text: Any text.
        longest: Longest sentence in characters, at least 20.

    Returns:
        Half-open character ranges, in order, not overlapping, none blank at either end.

    Raises:
        ValueError: ``longest`` is below 20.
    """
    if longest < 20:
        raise ValueError(f"longest must be at least 20, got {longest}")
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup != "block" and not _ends_sentence(text, start, match):
            continue
        spans.extend(_pieces(text, start, match.end(), longest))
        start = match.end()
    spans.extend(_pieces(text, start, len(text), longest))
    return spans


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, see `split_sentences`."""
    return [text[start:end] for start, end in split_sentences(text)]


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Say whether the punctuation found by ``match`` closes the sentence begun at ``start``."""
    if match["wide"]:
        quoted = match["wide"][-1] in '”’」』）】》〉"'
        return not (quoted and _QUOTATIVE.match(text, match.end()))
    following = _NEXT_WORD.match(text[match.end() : match.end() + _LONGEST_LOOK])
    word = (following and following[1]) or ""
    if word[:1].islower() or word in {",", ";", ":", "–", "—"}:
        return False
    if not match["stop"].startswith("."):
        return True
    if len(match["stop"]) > 1 or match["closing"]:
        return True
    before = text[max(start, match.start() - _LONGEST_LOOK) : match.start()]
    found = _WORD_BEFORE.search(before)
    if not found:
        return True
    last = found[0].lstrip("(\"'“„‘«[¿¡")
    behind = text[match.end() + len(following[0]) :][:1] if following else ""
    context = _Context(
        last=last,
        key=re.split(r"['’/]", last.lower())[-1],
        earlier=before[: found.start()].split(),
        joined=_joined(before),
        following=word,
        starts=word.lower() in _STARTERS and not (len(word) == 1 and behind == "."),
        first=match.start() - start <= _LONGEST_LOOK
        and len(text[start : match.start()].split()) == 1,
    )
    return not (_is_ordinal(context) if last.isdigit() else _is_abbreviation(context))


@dataclass(frozen=True, slots=True)
class _Context:
    """What stands around a full stop.

    Attributes:
        last: The word before it, and ``key``, the same in small letters and without an article
            joined to it (``l'art``).
        earlier: The words before that one.
        joined: The abbreviation in several parts that ends here (``z.b`` for "z. B"), or ``key``.
        following: The word behind it; it does not begin with a small letter.
        starts: Whether that word often begins a sentence.
        first: Whether ``last`` is the sentence's first word.
    """

    last: str
    key: str
    earlier: Sequence[str]
    joined: str
    following: str
    starts: bool
    first: bool


def _joined(before: str) -> str:
    chain = _CHAIN.search(before)
    return "".join(chain[1].lower().split()) if chain else ""


def _is_abbreviation(at: _Context) -> bool:
    """Whether the full stop belongs to the word before it."""
    numbered = at.following[:1].isdigit() or _is_roman(at.following)
    keys = {at.key, at.joined}
    if keys & _BEFORE_EITHER:
        if numbered and keys & _BEFORE_NUMBERS:
            return True
        return not at.starts and not _opens_sentence(at)
    if at.starts and len(at.key) < 3 and at.earlier and _MEASURED.fullmatch(at.earlier[-1]):
        return False  # "20 m. The rest"
    names = {at.last, at.last.rpartition("-")[2]}  # "Dipl.-Ing."
    if keys & _BEFORE_NAMES or names & _BEFORE_NAMES_IN_CAPITALS:
        return True
    if at.key == "no" and at.first and not numbered:  # the answer "No."
        return False
    counted = at.key in _BEFORE_NUMBERS and (numbered or len(at.key) > 1 == len(at.following))
    return counted or (at.key.endswith("str") and numbered) or _is_initial(at)


def _is_initial(at: _Context) -> bool:
    """Whether the word before the full stop is a letter or two that stand for more."""
    letters = at.last.replace("-", "").replace(".", "")
    if not letters.isalpha():
        return at.first and len(at.last) == 1
    if at.joined and len(letters) == 1:  # several parts, such as "z. B."
        return True
    if len(letters) == 1:
        if at.last.islower():  # "d. 7.", but not "lit. b."
            return not (at.earlier and at.earlier[-1].rstrip(".").lower() in _BEFORE_NUMBERS)
        return not at.starts or "-" in at.last
    several = "." in at.last and all(len(part) <= 2 for part in at.last.split("."))
    if several or _is_roman(at.last):  # U.S., J.R., XIV.
        return not at.starts
    return (
        len(letters) == 2
        and at.last.isupper()
        and at.following.isupper()
        and len(at.following) == 2
    )


def _opens_sentence(at: _Context) -> bool:
    """Whether a capital is enough for a new sentence behind what may end one."""
    word = at.following.lower()
    if word in _DAYS or word in _MONTHS:
        return False
    if at.following.isupper() and 1 < len(at.following) < 5:  # "3 p.m. EST"
        return False
    return at.key in {"a.m", "p.m", "etc", "osv", "usw", "ltd", "inc"} or at.joined in {
        "a.m",
        "p.m",
    }


def _is_ordinal(at: _Context) -> bool:
    """Whether the full stop behind a number makes it "3rd", or the number of a list item."""
    if len(at.last) > 3 or not at.following:
        return False
    previous = at.earlier[-1].lower() if at.earlier else ""
    word = at.following.lower()
    if at.first or word in _MONTHS or word in _AFTER_ORDINALS:
        return True
    if previous.rstrip(".") in _BEFORE_NUMBERS or previous not in _BEFORE_ORDINALS:
        return False
    if word.isdigit():  # "bis zum 15. 6."
        return len(word) <= 2
    return not at.starts


def _is_roman(word: str) -> bool:
    return bool(_ROMAN.fullmatch(word))


def _pieces(text: str, start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Trim the range and cut it at white space into ranges of at most ``longest``."""
    pieces: list[tuple[int, int]] = []
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            return pieces
        if end - start <= longest:
            return [*pieces, (start, end)]
        cut = max(text.rfind(blank, start, start + longest) for blank in " \n\t")
        cut = cut if cut > start else start + longest
        piece_end = cut
        while text[piece_end - 1].isspace():
            piece_end -= 1
        pieces.append((start, piece_end))
        start = cut
