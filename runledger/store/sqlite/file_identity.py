"""Which file lies at a path: a restored backup takes the name of the one that is open."""

import os

FileIdentity = tuple[int, int] | None
"""Device and inode, None where no file is there."""


def file_identity(path: str) -> FileIdentity:
    """Return which file lies at a path."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
