"""Copies the tree, edits the copy as a recipe says, and runs tests there."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("runledger", "projections", "tests", "scripts", "docs")


@dataclass(frozen=True)
class Tree:
    """The copy."""

    root: Path

    def write(self, file: str, text: str) -> None:
        """Write a new file."""
        path = self.root / file
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def insert(self, file: str, place: str, text: str) -> None:
        """Insert text in front of the first place that reads `place`, which must be there."""
        path = self.root / file
        before, found, rest = path.read_text(encoding="utf-8").partition(place)
        assert found, f"{file}: expected {place!r}"
        path.write_text(before + text + found + rest, encoding="utf-8")

    def replace(self, file: str, before: str, after: str) -> None:
        """Replace the first place that reads `before`, which must be there."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert before in text, f"{file}: expected {before!r}"
        path.write_text(text.replace(before, after, 1), encoding="utf-8")

    def append(self, file: str, text: str) -> None:
        """Write text at the end of a file."""
        with (self.root / file).open("a", encoding="utf-8") as written:
            written.write(text)

    def write_reference(self) -> None:
        """Write the reference pages, as `make reference` does."""
        for script in ("write_reference", "draw_state_machine"):
            done = self._run("-m", f"scripts.{script}")
            assert done.returncode == 0, done.stderr

    def tested(self, *tests: str) -> str:
        """Run tests of the copy with few examples; return their output, and fail if one fails."""
        done = self.untested(*tests)
        assert done.returncode == 0, done.stdout[-5_000:]
        return done.stdout

    def untested(self, *tests: str) -> subprocess.CompletedProcess[str]:
        """Run tests of the copy, which may fail."""
        return self._run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.root), "HYPOTHESIS_PROFILE": "fast"}
        # The copy is no worker of the run that this test is part of.
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def copied(root: Path) -> Tree:
    """Copy what a recipe touches, and what its tests need."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "CONTRIBUTING.md", "README.md", "constraints.txt"):
        shutil.copy(ROOT / file, root / file)
    return Tree(root)
