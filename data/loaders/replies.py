"""What a message quotes of the one that it answers, where no mark of quotation says so."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from data.blocks import Loaded, LoadWarning
from data.loaders.making import quoted

_FROM = "From|Von|De|Da|Van|Från|Fra|Od|Lähettäjä|От|Від|发件人|寄件者|差出人|보낸 사람"
_SENT = (
    "Sent|Date|Gesendet|Datum|Envoyé|Enviado(?: el| em)?|Fecha|Data|Inviato|Verzonden|Skickat|"
    "Sendt|Dato|Wysłano|Odesláno|Lähetetty|Отправлено|Дата|发送时间|寄件日期|送信日時|보낸 날짜"
)
_HEADER = re.compile(
    rf"(?:-{{2,}}[^\n]{{0,80}}-{{2,}}|_{{5,}})?\s*(?:{_FROM})\s?[:\uff1a][^\n]*\n"
    rf"\s*(?:(?:{_SENT})\s?[:\uff1a])",
    re.IGNORECASE,
)
"""What Outlook writes above the message that is answered."""


def marked(loaded: Iterable[Loaded]) -> Iterator[Loaded]:
    """The blocks of a message's body, those from the header of an older one on as quoted ("> ")."""
    begun = False
    for one in loaded:
        if isinstance(one, LoadWarning) or one.joint is not None:
            yield one
            continue
        begun = begun or _HEADER.match(one.text) is not None
        plain = begun and one.table is None and one.kind in {"paragraph", "list_item", "line"}
        yield replace(one, text=quoted(one.text, 1)) if plain else one
