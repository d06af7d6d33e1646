"""The Unix socket beside a read-models file: the process that has it open serves its own user."""

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
"""Bytes of an address; Linux allows 107, other systems 103."""


def socket_path(path: Path) -> Path:
    """Return the socket of the process that has the read models at `path` open."""
    return path.with_name(f"{path.name}.socket")


def listen(path: Path) -> socket.socket:
    """Listen beside the read models at `path`, which the caller has open.

    A socket that a killed process left is replaced and deleted.

    Raises:
        OSError: if the folder does not support sockets.
    """
    place = socket_path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Bound in a private folder, and moved once it has its mode: bind uses the umask, which
        # applies to the whole process.
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
    """Connect to the process that has the read models at `path` open; OSError if none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(socket_path(path)) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def remove(path: Path) -> None:
    """Delete the socket; the caller still has the read models open, so it is the caller's."""
    with suppress(OSError):
        socket_path(path).unlink()


@contextmanager
def _address(place: Path) -> Iterator[str]:
    """Yield the address of a socket, relative to its open folder if the path is too long."""
    text = str(place)
    if len(os.fsencode(text)) <= _LONGEST:
        yield text
        return
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)
