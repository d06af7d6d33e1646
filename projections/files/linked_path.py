"""The file behind a symbolic link, because a rename would replace the link itself."""

import os
from pathlib import Path


def behind_link(path: str | Path) -> Path:
    """Return the path of the file that a symbolic link leads to; any other path as it is.

    Names and locks are derived from it, so that they are the same for each name of a file. Its
    folders may be links: a rename within them has the same effect by any name.
    """
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
