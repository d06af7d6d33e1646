"""A small disk in memory that can be made full; a plain folder if nothing may be mounted."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

_ROOM: Final = "4g"
"""Its size while it is not full; it takes memory only for what is in it."""


class Disk:
    """A file system of its own, if this process may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.mounted = self._mount("-t", "tmpfs", "-o", f"size={_ROOM}", "runledger-torture")

    def fill(self) -> None:
        """Take all room that is left."""
        self._mount("-o", f"remount,size={max(shutil.disk_usage(self.folder).used, 4096)}")

    def empty(self) -> None:
        """Give the room back."""
        if self.mounted:
            self._mount("-o", f"remount,size={_ROOM}")

    def close(self) -> None:
        """Unmount it, with everything in it."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)

    def _mount(self, *words: str) -> bool:
        try:
            tried = subprocess.run(
                ["mount", *words, str(self.folder)], check=False, capture_output=True
            )
        except OSError:
            return False
        return tried.returncode == 0
