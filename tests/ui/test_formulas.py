import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.formulas import mathml
from ui.rendering import markdown


def shown(text: str) -> str:
    return markdown(text, 1, {1})


@pytest.mark.parametrize(
    "text", ["$x^2$", r"\(x^2\)", "so $x^2$, then", "$$x^2$$", r"\[x^2\]", "$$\nx^2\n$$"]
)
def test_formulas_become_mathml(text):
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in shown(text)
    assert ('display="block"' in shown(text)) == (text[1] in "$[")


@pytest.mark.parametrize(
    "text",
    [
        "costs $5 and $6",
        "$5/$10 each",
        "a $ b $ c",
        "`$x$`",
        r"\$x\$",
        "$x",
        r"\(x",
        "US$ 3 or A$ 4",
    ],
)
def test_what_is_no_formula_stays_text(text):
    assert "<math" not in shown(text)


def test_citations_beside_a_formula_are_citations_and_in_it_are_not():
    html = shown("$a[1]$ holds [1].")
    assert html.count('class="cite"') == 1


@pytest.mark.parametrize("latex", [r"\frac{", r"\begin{x}", "{" * 50, r"\left("])
def test_what_cannot_be_read_stays_as_it_is(latex):
    assert mathml(latex).startswith(("<code>", "<math"))


HOSTILE = (
    r"\text{<img src=x onerror=alert(1)>}", r"\href{javascript:alert(1)}{x}",
    r"\style{x:url(//e)}{x}",
    r"\class{evil}{x}", r"\color{red\" onclick=\"alert(1)}{x}", r"\text{</math><script>1</script>}",
    r"\mathrm{<svg/onload=1>}", r"\text{&lt;b&gt;}",
)  # fmt: skip


@pytest.mark.parametrize("latex", HOSTILE)
def test_a_formula_brings_nothing_to_life(latex):
    html = shown(f"${latex}$")
    assert not re.search(r"<(img|script|svg|a|b|iframe)\b", html), html
    assert not re.search(r"<[^>]*\b(href|src|style|on\w+|class)\s*=", html), html


@given(
    st.lists(
        st.sampled_from([*r"\{}<>&\"'=$^_ x1", r"\text{", r"\href{", "<img", "onerror="]),
        max_size=16,
    )
)
def test_no_mix_of_marks_brings_a_formula_to_life(marks):
    html = mathml("".join(marks))
    assert not re.search(r"<(img|a|script)\b|<[^>]*\b(href|src|style|onerror)=", html), html
