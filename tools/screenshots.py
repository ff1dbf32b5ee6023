"""The README's pictures, taken of the running application with the shipped samples.

    .venv/bin/python -m tools.screenshots [--out docs/images]

Needs Chromium and its driver, as the tests of the page do. No language model is connected: what is
seen is what a fresh laptop shows.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests.ui.browser import Browser
from tests.ui.running import RunningApp

QUESTION = "Why does the lift pump rattle at 32 litres a second?"
ON_A_PAGE = "What are the three clocks of a small grid?"
DESKTOP, PHONE = (1440, 900), (390, 844)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["RAG_APP_ARTIFACTS"] = str(folder)
    with tempfile.TemporaryDirectory() as scratch:
        app = RunningApp(Path(scratch, "storage"), ["ui", "--no-open", "--port", "0"])
        try:
            take(app, Path(scratch))
        finally:
            app.stop()
    for picture in folder.glob("*.png"):
        Image.open(picture).convert("RGB").quantize(256).save(picture, optimize=True)


def take(app: RunningApp, scratch: Path) -> None:
    """One browser after the other, as different people would look."""
    with opened(app, scratch / "first") as page:
        page.screenshot("start")
        answered(page, QUESTION)
        page.click("#turns .cite")
        page.until(lambda: page.all("#evidence mark"), "the passage is not marked")
        page.screenshot("chat")
        page.click("[data-opens=new-collection]")
        page.until(lambda: page.one("#new-collection input").is_displayed())
        page.screenshot("new-collection")
    with opened(app, scratch / "second") as page:
        answered(page, ON_A_PAGE)
        page.click("#turns .cite")
        page.until(lambda: page.all("#evidence img"), "no page is shown")
        page.screenshot("page")
    with opened(app, scratch / "third") as page:
        page.click("[data-view=evaluation]")
        page.until(lambda: page.one("#measured input").get_attribute("value") == "samples")
        page.click("#start")
        page.until(lambda: page.all("#past .run.done"), "the run did not end", 300)
        page.click("#past [data-act=report]")
        page.until(lambda: page.all("iframe"))
        page.screenshot("evaluation")
    with opened(app, scratch / "fourth") as page:
        page.click("[data-view=compare]")
        page.until(lambda: page.one("#compare [name=question]").is_displayed())
        page.one("#compare [name=question]").send_keys(QUESTION)
        page.click("#compare form [type=submit]")
        page.until(lambda: page.all("#compare [data-act=vote]"), "nothing was compared", 120)
        page.screenshot("compare")
        page.click("[data-view=chat]")
        page.click(".pill[data-opens=connect-model]")
        page.until(lambda: page.one("#connect-model [name=address]").is_displayed())
        page.screenshot("model")
    with opened(app, scratch / "phone", PHONE, dark=True) as page:
        answered(page, QUESTION)
        page.screenshot("phone")
    with opened(app, scratch / "programs") as page:
        page.driver.get(f"{app.address}/docs")
        page.until(lambda: page.all(".opblock"), "the API is not shown")
        page.screenshot("api")


@contextmanager
def opened(
    app: RunningApp, profile: Path, size: tuple[int, int] = DESKTOP, *, dark: bool = False
) -> Iterator[Browser]:
    """A browser of somebody who sees the page for the first time, once the samples are in."""
    browser = Browser(profile, size, dark=dark)
    try:
        browser.open(app.page)
        browser.until(lambda: browser.all(".offer"), "the samples did not come", 120)
        yield browser
    finally:
        browser.close()


def answered(page: Browser, question: str) -> None:
    """Ask, and wait for the whole answer."""
    page.ask(question)
    page.wait_for_answers(1)


if __name__ == "__main__":
    main()
