"""PgBouncer in transaction mode before the server of the tests: Debian's package `pgbouncer`."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import parse_qs, urlsplit

import pytest

BINARY = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
MISSING = "the program pgbouncer is missing: `apt-get install pgbouncer`, then `make pooler`"
CONFIGURATION = """
[databases]
* = host={directory} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
unix_socket_dir =
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def bounced(store_url: str, size: int = 3) -> Iterator[str]:
    """Give the URL of a store on the tests' server by way of PgBouncer, with so few sessions."""
    if BINARY is None:
        if os.environ.get("RUNLEDGER_REQUIRE_PGBOUNCER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    address = urlsplit(store_url)
    given = parse_qs(address.query)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(mkdtemp(prefix="runledger-"))
    file = folder / "pgbouncer.ini"
    directory = given["host"][0]
    file.write_text(CONFIGURATION.format(directory=directory, port=port, folder=folder, size=size))
    command = [str(BINARY), str(file)]
    if os.getuid() == 0:
        # It refuses to run as root; the server's user may read its socket.
        owner = pwd.getpwuid(Path(directory).stat().st_uid)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        command[1:1] = ["-u", owner.pw_name]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.01)
        assert process.poll() is None, (folder / "log").read_text()
        schema = given["schema"][0]
        yield f"postgresql://postgres@127.0.0.1:{port}{address.path}?schema={schema}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)
