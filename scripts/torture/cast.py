"""The processes of a campaign: each is started again when it has ended, whatever ended it."""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


class Player:
    """A process that is killed, stopped and started again; `said` is the file of its output."""

    def __init__(self, role: str, said: Path, arguments: Sequence[str]) -> None:
        self.role = role
        self._said = said
        self._command = [sys.executable, "-m", f"scripts.torture.{role}", *arguments]
        self.start()

    def start(self) -> None:
        """Start it, as new."""
        with self._said.open("ab") as file:
            self._silent_size = file.tell()
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=file, stderr=file)
        self._stopped = False

    def at_work(self) -> bool:
        """Whether it has said something, as each does when it begins, and is not stopped."""
        return not self._stopped and self._said.stat().st_size > self._silent_size

    def port(self) -> int | None:
        """Return the port that a server has said since it was started; None before."""
        with self._said.open("rb") as file:
            file.seek(self._silent_size)
            said = re.findall(rb" at http://[^ :]+:(\d+)\n", file.read())
        return int(said[-1]) if said else None

    def kill(self) -> None:
        """Kill -9; wait for its end."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGSTOP: it does nothing, and gives nothing back."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGSTOP)
            self._stopped = True

    def go_on(self) -> None:
        """SIGCONT, if it was stopped."""
        if self._stopped:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)
            self._stopped = False

    def end(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self.go_on()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def crashed(self) -> bool:
        """Whether it ended by itself, which none of them should."""
        return self._process.poll() is not None


class Cast:
    """All processes of a campaign."""

    def __init__(self, players: list[Player]) -> None:
        self.players = players

    def kill_one(self) -> list[str]:
        """Kill one that has come to work and start it again; return the fault, if there was one."""
        player = self._at_work()
        if player is None:
            return []
        player.kill()
        player.start()
        return [f"kill -9 {player.role}"]

    def stop_one(self) -> list[str]:
        """Stop one that has come to work, until `go_on`; return the fault, if there was one."""
        player = self._at_work()
        if player is None:
            return []
        player.stop()
        return [f"stop {player.role}"]

    def _at_work(self) -> Player | None:
        ready = [player for player in self.players if player.at_work()]
        return random.choice(ready) if ready else None

    def kill_all(self) -> None:
        """Kill all of them, and start none."""
        for player in self.players:
            player.kill()

    def start_all(self) -> None:
        """Start all of them."""
        for player in self.players:
            player.start()

    def go_on(self) -> None:
        """Let all that are stopped go on."""
        for player in self.players:
            player.go_on()

    def restarted(self) -> list[str]:
        """Start again those that ended by themselves; return their roles."""
        ended = [player for player in self.players if player.crashed()]
        for player in ended:
            player.start()
        return [player.role for player in ended]
