"""A file by its own name: what a symbolic link leads to, since a rename replaces a link itself."""

import os
from pathlib import Path


def behind_link(path: str | Path) -> Path:
    """Return the path of the file that a symbolic link leads to; any other path as it is.

    Names and locks are made from it, so that a file has the same ones by each of its names. The
    folders on the way may be links: a rename within them is the same by any name.
    """
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
