"""Encodings are found, and what was guessed is said."""

import pytest

from data.errors import UnreadableFile
from data.loaders.encodings import decode

SENTENCES = [
    ("Die Ölpumpe wird jährlich geprüft – sagt der Wärter.", "cp1252"),
    ("Le débit a été mesuré à l’arrêt.", "cp1252"),
    ("Pompa została sprawdzona w środę, więc wyłączono ją.", "cp1250"),
    ("Čerpadlo bylo zkontrolováno; tlak byl příliš nízký.", "cp1250"),
    ("Насос проверили в среду.", "cp1251"),
    ("冷藏仓库的温度必须保持在四摄氏度以下。", "gbk"),
    ("冷藏倉庫的溫度必須保持在攝氏四度以下。", "big5"),
    ("ポンプは毎年点検されます。", "shift_jis"),
    ("펌프는 매년 점검됩니다.", "euc-kr"),
    ("The pump is checked every year.\n", "utf-16-le"),
    ("Die Ölpumpe wird geprüft.\n", "utf-16-be"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), SENTENCES)
def test_an_encoding_is_found_and_named_in_a_warning(text, code):
    decoded = decode(text.encode(code), "a.txt")
    assert decoded.text == text
    assert "encoding was guessed" in decoded.warnings[0].reason


def test_a_stray_byte_does_not_spoil_a_file_in_utf8():
    raw = "Prüfung der Spülpumpe, grün, ".encode() + b"0,5 \xb5m"
    decoded = decode(raw, "a.txt")
    assert decoded.text == "Prüfung der Spülpumpe, grün, 0,5 µm"
    assert "no UTF-8" in decoded.warnings[0].reason


def test_one_stray_byte_in_a_file_with_one_word_of_utf8_is_one():
    assert decode("Größe 3".encode() + b", 5 \xb0C", "a.txt").text == "Größe 3, 5 °C"


def test_utf8_needs_no_warning():
    assert decode("Prüfung".encode(), "a.txt").warnings == ()


@pytest.mark.parametrize("raw", [b"a\0b", bytes(range(1, 32)) * 9])
def test_binary_content_is_refused(raw):
    with pytest.raises(UnreadableFile, match=r"a\.txt.*binary"):
        decode(raw, "a.txt")


def test_a_lying_byte_order_mark_is_refused():
    with pytest.raises(UnreadableFile, match="byte-order mark"):
        decode(b"\xff\xfea", "a.txt")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Größe;Menge\n1,5;20\n2,5;30\n", "cp1250"),
        ("Kontrola pompy: zażółć gęślą jaźń, źródło świeże.", "iso8859-2"),
        ("Šetřete vodou, žádost podejte včas; tlak byl příliš nízký.", "iso8859-2"),
        ("Проверка насоса проводится два раза в год.", "koi8-r"),
        ("Проверка насоса проводится два раза в год.", "cp866"),
        ("データセンターのエアコンをテストする", "shift_jis"),
        ("サーバー名,メモリ\nサクラ,エラー\n", "euc_jp"),
        ("幫浦,型號\n水泵檢修,三月\n", "big5"),
        ("Größe für Bücher, süß und schön", "mac_roman"),
        ("Zażółć gęślą jaźń, źródło świeże", "cp852"),
        ("水泵的检修每年进行两次。\n请提交申请表。", "utf-16-le"),
        ("水泵的检修每年进行两次请在春天以前提交申请表并等候答复", "utf-16-be"),
        ("品名,数量\n阀门,3\n水泵,7\n", "gbk"),
        ("품명,수량\n밸브,3\n펌프,7\n", "euc-kr"),
        ("契約は五月までに結ぶ", "euc_jp"),
        ("Vana ağustosta değiştirildi; basınç düşük, ışık açık", "cp1254"),
    ],
)
def test_short_texts_and_rarer_encodings_are_found(text, code):
    assert decode(text.encode(code), "a.txt").text == text
