"""`runledger serve` in a process of its own, to be killed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class ServingProcess:
    """Serves a store on a port; ready when the block is entered."""

    def __init__(self, store_url: str, read_models: Path, port: int, *words: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._words = [
            *[sys.executable, "-m", "runledger.cli.main", "--store", store_url],
            *["--read-models", str(read_models), "serve", "--port", str(port)],
            *["--no-access-log", *words],
        ]

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RUNLEDGER_")}
        self.process = subprocess.Popen(
            self._words, stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("runledger serves")
        return self

    def kill(self) -> None:
        """End it between any two instructions."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
