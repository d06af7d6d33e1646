"""Which files the ledger made: only those are ever replaced, moved or deleted.

Read models are recognized by their tables. A file whose tables cannot be read is recognized by the
manifest beside it, which says that the live generation is at this path.
"""

import json
import re
from pathlib import Path
from typing import Final

from runledger.errors import NotReadModels

FOLDER: Final = ".generations"
"""The ending of the folder beside a file of read models."""
_NUMBERED: Final = re.compile(r"\d{6,}\.json")


def is_vouched_for(path: Path) -> bool:
    """Whether the ledger made the file at a path, according to the manifest beside it."""
    if path.parent.name.endswith(FOLDER):
        return True
    folder = path.with_name(f"{path.name}{FOLDER}")
    manifests = folder.iterdir() if folder.is_dir() else ()
    return any(_is_of_live(file) for file in manifests if _NUMBERED.fullmatch(file.name))


def _is_of_live(manifest: Path) -> bool:
    try:
        found = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("state") == "live"


def not_read_models(path: Path, found: str) -> NotReadModels:
    """Return the error of a file that the ledger did not make."""
    return NotReadModels(
        f"read models {str(path)!r}: expected a new file or one that the ledger made, found "
        f"{found}; it was left as it is: choose another path, such as "
        f"`--read-models {path.with_name('runs.duckdb')}`"
    )


def free_name(path: Path) -> Path:
    """Return an unused path: the given one, or the first free one with a number."""
    number, free = 1, path
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
