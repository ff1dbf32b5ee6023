from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from rag_app.probes.connecting import Found
from ui import dialogs

words = st.text() | st.sampled_from(['"><script>alert(1)</script>', "' onfocus='x", "</dialog>"])


@given(words)
def test_what_is_typed_or_listed_stays_text(text: str) -> None:
    found = [Found(text, text, (text,))]
    for html in (
        dialogs.new_collection(1, text, text),
        dialogs.connect_model(address=text, model=text, found=found, models=[text], error=text),
        dialogs.connect_model(done=text),
    ):
        soup = BeautifulSoup(html, "html.parser")
        assert not soup.select("script, img, [onfocus]")
        assert len(soup.select("dialog > form")) == 1
        assert html.count("</dialog>") == 1


def test_a_dialog_that_has_something_to_say_opens_itself() -> None:
    assert "data-open=" not in dialogs.new_collection() + dialogs.connect_model()
    assert "data-open=" in dialogs.new_collection(error="no")
    assert dialogs.new_collection(error="no") != dialogs.new_collection(error="no")  # opens again
    assert "Put among the samples" in dialogs.new_collection(waiting=2)
