"""Files that are there whole or not at all, whatever is killed when."""

import os
from pathlib import Path


def put_in_place(written: Path, path: Path) -> None:
    """Flush a file that was written under another name, and give it its own, atomically."""
    _flush(written)
    os.replace(written, path)
    _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    put_in_place(part, path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
