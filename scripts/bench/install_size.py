"""How much does an installation bring?"""

import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from scripts.bench.bench import Bench
from scripts.bench.row import Mark, Row

ROOT: Final = Path(__file__).resolve().parents[2]


def _brought() -> dict[str, Distribution]:
    """Return every distribution that installing the package brings on this machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, Distribution] = {}
    wanted = [Requirement(text) for text in project["dependencies"]]
    seen = set()
    while wanted:
        requirement = wanted.pop()
        key = (requirement.name.lower().replace("_", "-"), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(key[0])
        except PackageNotFoundError:
            continue
        for text in found[key[0]].requires or ():
            needed = Requirement(text)
            extras = ("", *requirement.extras)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                wanted.append(needed)
    return found


def _bytes(installed: Distribution) -> int:
    paths = (Path(str(file.locate())) for file in installed.files or ())
    return sum(p.stat().st_size for p in paths if p.is_file() and p.suffix != ".pyc")


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the bytes and the number of packages that runledger needs at run time."""
    del bench
    brought = _brought()
    sizes = {name: _bytes(installed) / 1e6 for name, installed in brought.items()}
    for package in ("runledger", "projections"):
        files = (path for path in (ROOT / package).rglob("*") if path.suffix != ".pyc")
        sizes[package] = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    note = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
    total = sum(sizes.values())
    yield Row("installed size", total, "MB", mark=Mark("≤", 150, "ours"), note=note)
    yield Row("packages, itself included", len(brought) + 1, "", mark=Mark("≤", 40, "ours"))
