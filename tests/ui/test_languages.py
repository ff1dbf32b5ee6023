import pytest

from ui.languages import lang


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("船は何時に出ますか。", ' lang="ja"'),
        ("カタカナ", ' lang="ja"'),
        ("배는 몇 시에 떠납니까?", ' lang="ko"'),
        ("渡轮几点开？", ' lang="zh"'),
        ("When does the ferry leave?", ""),
        ("متى تغادر العبّارة؟", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_its_script(text: str, attribute: str) -> None:
    assert lang(text) == attribute
