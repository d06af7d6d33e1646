"""`runledger serve` in a process of its own: to be measured, loaded and killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_ADDRESS: Final = re.compile(r" at http://localhost:([0-9]+)$")


class ServingProcess:
    """Serves a store; ready when the block is entered.

    Parameters:
        store_url: the store.
        read_models: their file; what `--writer` among the words makes useless.
        port: where it listens; 0 takes a free one, at which it begins again after its end.
        words: further options of `runledger serve`.
    """

    def __init__(self, store_url: str, read_models: Path, port: int = 0, *words: str) -> None:
        self.port = port
        self._words = [
            *[sys.executable, "-m", "runledger.cli.main", "--store", store_url],
            *["--read-models", str(read_models), "serve", "--no-access-log", *words],
        ]

    @property
    def url(self) -> str:
        """The address, once it is ready."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RUNLEDGER_")}
        self.process = subprocess.Popen(
            [*self._words, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        found = _ADDRESS.search(line)
        if found is None:
            self.kill()
            raise AssertionError(f"runledger serve: expected its address, found {line!r}")
        self.port = int(found[1])
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
