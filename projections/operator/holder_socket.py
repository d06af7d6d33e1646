"""The Unix socket beside a read-models file: its holder listens there, for its own user alone."""

import glob
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_LONGEST: Final = 100
"""Bytes of an address; Linux takes 107, others 103."""


def socket_path(path: Path) -> Path:
    """Return where the holder of the read models at `path` listens."""
    return path.with_name(f"{path.name}.socket")


def listen(path: Path) -> socket.socket:
    """Listen beside the read models at `path`, which the caller holds.

    What earlier holders left there, killed, is replaced and taken away. Raises OSError where the
    folder takes no socket.
    """
    place = socket_path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Bound where nobody else may look, and moved when it has its mode: the umask, which bind
        # goes by, is that of the whole process.
        private_folder = f".{place.name}-"
        for left in place.parent.glob(f"{glob.escape(private_folder)}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=private_folder, dir=place.parent) as private:
            bound = Path(private) / "s"
            with _address(bound) as address:
                listener.bind(address)
            bound.chmod(stat.S_IRUSR | stat.S_IWUSR)
            listener.listen(128)
            bound.rename(place)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """Connect to the holder of the read models at `path`; OSError if none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(socket_path(path)) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def remove(path: Path) -> None:
    """Take the socket away; the caller still holds the read models, so that it is its own."""
    with suppress(OSError):
        socket_path(path).unlink()


@contextmanager
def _address(place: Path) -> Iterator[str]:
    """Give the address of a socket, by way of its open folder where the path is too long."""
    text = str(place)
    if len(os.fsencode(text)) <= _LONGEST:
        yield text
        return
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)
