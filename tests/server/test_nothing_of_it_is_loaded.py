"""A program that writes runs, and the help pages, load nothing of a web server."""

import subprocess
import sys
from pathlib import Path

import pytest

WEB = {"starlette", "uvicorn", "httptools", "h11", "anyio", "mcp"}


@pytest.mark.parametrize(
    "script",
    [
        "import runledger; runledger.RunLedger.open",
        "import sys; sys.argv = ['runledger', '--help']\n"
        "from runledger.cli.main import app\n"
        "try: app()\nexcept SystemExit: pass",
    ],
)
def test_no_web_package_is_loaded(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "runledger" in loaded
    if "--help" in script:
        assert not WEB & loaded
    # httpx, which calls back, brings anyio along with it.
    assert not (WEB - {"anyio", "h11"}) & loaded
