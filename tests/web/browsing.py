"""A real Chromium, and what is asked of every view in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

AXE = Path(__file__).with_name("vendor") / "axe.min.js"
AXE_DIGEST = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def expect_browser() -> None:
    """Skip if there is no browser, with what to do; fail if `make test-browser` was to bring it."""
    missing = None
    if CHROMIUM is None:
        missing = "NO BROWSER: apt-get install chromium, or make test-browser"
    try:
        import playwright.sync_api  # noqa: F401
    except ModuleNotFoundError:
        missing = "NO PLAYWRIGHT: make test-browser"
    if missing is not None:
        if os.environ.get("RUNLEDGER_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser of the system."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def expect(found: Any) -> Any:
    """Return what Playwright expects of elements; it waits for it, for a minute at most."""
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=60_000)
    return playwright_expect(found)


class Watched:
    """A page of the browser that remembers what went wrong in it."""

    def __init__(self, browser: Any, origin: str, **options: Any) -> None:
        self.origin = origin
        self.faults: list[str] = []
        context = browser.new_context(base_url=origin, **options)
        self.page = context.new_page()
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws") and not request.url.startswith(
            f"{self.origin}/"
        ):
            self.faults.append(f"request: {request.url}")

    def open(self, path: str) -> Any:
        """Go to a view; return the page."""
        answer = self.page.goto(path)
        assert answer is not None
        return self.page

    def close(self) -> None:
        """Close the page, and fail for what went wrong in it."""
        self.page.context.close()
        assert self.faults == []


def violations(page: Any) -> list[str]:
    """Return what axe-core finds against level AA, each with the elements."""
    source = AXE.read_text(encoding="utf-8")
    assert sha256(source.encode()).hexdigest() == AXE_DIGEST
    page.evaluate(source)
    found = page.evaluate(
        "levels => axe.run({runOnly: {type: 'tag', values: levels}})"
        ".then(found => found.violations)",
        _LEVELS,
    )
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"][:3]
    ]
