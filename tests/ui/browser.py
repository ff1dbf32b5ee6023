"""A headless Chromium that looks at the page as a person would."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDE, NARROW = (1280, 800), (390, 800)
_PATIENCE = 20.0
_REPOSITORY = Path(__file__).resolve().parents[2]


def artifacts() -> Path:
    """Where screenshots go."""
    folder = Path(os.environ.get("RAG_APP_ARTIFACTS", _REPOSITORY / "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def require_chromium() -> tuple[str, str]:
    """Paths of the browser and its driver; without them the test skips, and in CI it fails."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    message = "chromium and chromedriver are needed: apt-get install chromium chromium-driver"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Browser:
    """One browser with its own profile.

    Args:
        profile: an empty folder for it.
        size: width and height of the page in CSS pixels.
        dark: whether its owner prefers dark pages.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = WIDE, *, dark: bool = False) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        browser, driver = require_chromium()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(profile)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver: Chrome = webdriver.Chrome(options=options, service=Service(driver))
        self.requests: list[str] = []
        self.resize(size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[scheme])

    def close(self) -> None:
        self.driver.quit()

    def resize(self, size: tuple[int, int]) -> None:
        """Show the page in another size; below 600 pixels as on a phone."""
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=size[0] < 600,
        )  # fmt: skip

    def still(self) -> None:
        """Wait until nothing moves or fades any more."""
        self.until(
            lambda: (
                not self.run(
                    "return document.getAnimations().some((one) => one.playState === 'running'"
                    " && one.effect.getTiming().iterations < 99)"
                )
            )
        )

    def open(self, address: str) -> None:
        self.driver.get("about:blank")
        self.driver.get_log("performance")  # the browser's own start page
        self.driver.get(address)
        self.one("#box textarea")

    def all(self, selector: str) -> "list[WebElement]":
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> "WebElement":
        return self.until(lambda: self.all(selector), f"nothing matches {selector}")[0]

    def until(self, look: Callable[[], Any], message: str = "", seconds: float = _PATIENCE) -> Any:
        """What `look` returns once it is true; the page may change under its hands meanwhile."""
        from selenium.common.exceptions import StaleElementReferenceException

        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := look():
                    return found
            except StaleElementReferenceException:
                pass
            if time.monotonic() > deadline:
                self.driver.save_screenshot(str(artifacts() / "failure.png"))
                raise AssertionError(message or "what was waited for did not come")
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        self.press(lambda: self.one(selector), f"{selector} cannot be clicked")

    def press(self, look: Callable[[], "WebElement"], message: str = "") -> None:
        """Click what `look` finds, once nothing that still moves covers it."""
        self.until(lambda: self._clicked(look), message)

    def _clicked(self, look: Callable[[], "WebElement"]) -> bool:
        from selenium.common.exceptions import (
            ElementClickInterceptedException,
            ElementNotInteractableException,
        )

        try:
            look().click()
        except (ElementClickInterceptedException, ElementNotInteractableException):
            return False
        return True

    def choose(self, selector: str, label: str) -> None:
        """Choose from a list what its label says; another list may still be closing."""
        self.click(f"{selector} input")
        self.press(lambda: self.option(selector, label), f"{selector} does not offer {label}")

    def option(self, selector: str, label: str) -> "WebElement":
        found = self.until(
            lambda: [one for one in self.all(f"{selector} [role=option]") if label in one.text]
        )
        return found[0]

    def tab(self, label: str) -> None:
        """Click a visible tab by its label."""

        def found() -> "list[WebElement]":
            tabs = self.all("button[role=tab]")
            return [tab for tab in tabs if tab.text == label and tab.is_displayed()]

        self.until(found, f"there is no tab {label}")[0].click()

    def upload(self, files: Sequence[Path]) -> None:
        self.one("#files input[type=file]").send_keys("\n".join(str(file) for file in files))

    def drop(self, path: Path, selector: str) -> None:
        """Drag a file or a folder from a file manager onto what matches."""
        box = self.one(selector).rect
        middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "drop"):
            self._command("Input.dispatchDragEvent", type=step, data=data, **middle)

    def new_collection(self, name: str) -> None:
        """Make a collection, once the page shows those that there are."""
        from selenium.webdriver.common.keys import Keys

        self.until(lambda: self.one("#picker input").get_attribute("value"))
        self.click("[data-opens=new-collection]")
        self.until(lambda: self.one("#new-collection input").is_displayed())
        self.one("#new-collection input").send_keys(name, Keys.ENTER)
        self.until(lambda: self.one("#picker input").get_attribute("value") == name)

    def ask(self, question: str) -> None:
        from selenium.webdriver.common.keys import Keys

        box = self.one("#box textarea")
        box.send_keys(question)
        box.send_keys(Keys.ENTER)

    def answers(self) -> list[str]:
        return [found.text for found in self.all("#turns .turn .answer")]

    def wait_for_answers(self, count: int) -> list[str]:
        found: list[str] = self.until(
            lambda: (texts := self.answers()) and len(texts) == count and texts,
            f"the answer number {count} did not come",
        )
        return found

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def screenshot(self, name: str) -> None:
        self.until(lambda: self.run("return document.fonts.status === 'loaded'"))
        time.sleep(0.3)  # transitions
        self.driver.save_screenshot(str(artifacts() / f"{name}.png"))

    def requested(self) -> list[str]:
        """Addresses of all requests so far."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return self.requests

    def complaints(self) -> list[str]:
        """Errors that the page has written to the console."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def _command(self, name: str, **arguments: object) -> None:
        self.driver.execute_cdp_cmd(name, arguments)
