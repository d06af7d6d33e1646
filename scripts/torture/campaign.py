"""A campaign on one database: rounds of faults, then quiet, then the check of everything."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

from scripts.torture import checker
from scripts.torture.cast import ROOT, Cast, Player
from scripts.torture.claims import Claims, Deed, read_claims
from scripts.torture.databases import PostgreSQL, SQLite
from scripts.torture.mutations import NO_APPEND_LOCK, mutate_store
from scripts.torture.proxy import Proxy
from scripts.torture.receiver import CallbackReceiver

WRITERS = 3
SENDERS = 2
ROUND_SECONDS = 10.0
FAULT_SECONDS = 0.5
STOPPED_SECONDS = 2.5
"""Longer than a lease of the senders runs."""
DELIVERY_SECONDS = 120.0
"""Without one more callback that has come."""
PATIENCE_SECONDS = 300.0
"""For what a busy machine does late; a campaign must not fail by load alone."""
LOST_EVENTS = 100
"""That a restored backup lacks, at least."""
RUNS = "SELECT run_id, status, num_steps AS steps FROM runs"


@dataclass
class Report:
    """The result of a campaign."""

    database: str
    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    events: int = 0
    repeats: int = 0
    refused: str = ""
    """The answer of the read models after the log went back, before they were made again."""
    found: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())

    def __str__(self) -> str:
        did = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines = [
            f"{self.database}: {self.rounds} rounds, {self.faults.total()} faults ({did})",
            f"  {self.acknowledged} commands acknowledged, {self.events} events, "
            f"{self.repeats} callbacks repeated",
        ]
        if self.refused:
            lines.append(f"  after the log went back: {self.refused}")
        for name, found in self.found.items():
            lines.append(f"  {name}: {len(found)}")
            if found:
                lines.append(checker.shown(found))
        return "\n".join(lines)


class Campaign:
    """Processes on a database, faults, and the check."""

    def __init__(self, database: SQLite | PostgreSQL, folder: Path, mutation: str) -> None:
        self._database = database
        self._folder = folder
        self._mutation = mutation
        self._delivery_seconds = DELIVERY_SECONDS if mutation == "none" else 5.0
        # A mutation shows without faults: they only keep the writers from writing.
        self._fault_seconds = FAULT_SECONDS if mutation == "none" else 10 * FAULT_SECONDS
        self._receiver = CallbackReceiver()
        self._seen: list[int] = []
        self._ended: list[str] = []
        self._forgiven: set[Deed] = set()
        self._undone: set[str] = set()
        self._server: Player | None = None
        self._web = Proxy(self._served_at)
        self._looking = Lock()
        self.report = Report(database.name)

    def run(self, seconds: float) -> Report:
        """Do rounds for so long; stop everything, and check.

        Parameters:
            seconds: how long faults are made; the check at the end comes on top.
        """
        self._make_store()
        with self._followed():
            players = self._players()
            cast = Cast(players)
            try:
                # The backup is restored soon after it was made, so that the log grows past where
                # it was, with other events.
                self._rounds(cast, 0.6 * seconds, 1)
                self._at_rest(cast, self._database.back_up)
                self._rounds(cast, 0.1 * seconds, self._last() + LOST_EVENTS)
                lost = self._last()
                if self._database.live:
                    cast.go_on()
                    with self._looking:
                        self._restore()
                else:
                    self._at_rest(cast, self._restore)
                self._rounds(cast, 0.3 * seconds, lost + 1)
                self._until_the_mutation_shows(cast)
            finally:
                cast.go_on()
                for player in players:
                    if player.role != "sender":
                        player.end()
            # The senders go on until every callback has come, or it is clear that one never will.
            self._wait_for_callbacks()
            for player in players:
                player.end()
        self._check()
        self._receiver.close()
        self._web.close()
        return self.report

    def _at_rest(self, cast: Cast, work: Callable[[], None]) -> None:
        """Kill every process, do the work, and start them again."""
        cast.go_on()
        cast.kill_all()
        with self._looking:
            work()
        cast.start_all()

    def _served_at(self) -> int | None:
        return None if self._server is None else self._server.port()

    def _last(self) -> int:
        return self._seen[-1] if self._seen else 0

    def _rounds(self, cast: Cast, seconds: float, position: int) -> None:
        """Make faults for so long, and for longer if the log has not come to a position by then."""
        ends = time.monotonic() + seconds
        latest = ends + PATIENCE_SECONDS
        while (now := time.monotonic()) < ends or (self._last() < position and now < latest):
            self._round(cast, max(ends, now + 2.0))
            self.report.rounds += 1

    def _restore(self) -> None:
        """Let the log go back, and note which commands are lost by that."""
        # So that the read models have events that the log will not have any more.
        projected = self._ask("project")
        if not self._database.live:
            projected.check_returncode()
        self._database.restore()
        # No command reaches the log now: those that were begun are in it, or lost or to be sent
        # again, and none of them is promised any more.
        claims = read_claims(sorted(self._folder.glob("*.claims")))
        log = self._database.rows(0)
        there = checker.folded(log)
        self._forgiven = claims.begun - {*there.deeds}
        self._undone = {deed.run_id for deed in self._forgiven}
        self._seen = [row.position for row in log]
        for run in {*self._receiver.answered} - {*there.statuses}:
            del self._receiver.answered[run]
        self.report.faults[self._database.going_back] += 1
        self._database.go_on()

    def _until_the_mutation_shows(self, cast: Cast) -> None:
        """Go on, if a reader that is passed has not been by now: a busy machine writes little."""
        if self._mutation != NO_APPEND_LOCK:
            return
        latest = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < latest:
            with self._looking:
                passed = {row.position for row in self._database.rows(0)} - {*self._seen}
            if any(position < self._last() for position in passed):
                return
            self._round(cast, time.monotonic() + 5.0)

    def _make_store(self) -> None:
        self._ask("import", "jsonl", "/dev/null").check_returncode()
        if isinstance(self._database, PostgreSQL):
            mutate_store(self._mutation, self._database.address)

    def _players(self) -> list[Player]:
        url, folder = self._database.url, self._folder
        writers = [
            Player(
                "writer",
                folder / f"writer-{n}.out",
                [url, str(folder / f"writer-{n}.claims"), self._receiver.url, self._mutation],
            )
            for n in range(WRITERS)
        ]
        self._server = Player("server", folder / "server.out", [url])
        served = f"http://localhost:{self._web.port}"
        writers.append(
            Player(
                "writer",
                folder / "writer-served.out",
                [served, str(folder / "served.claims"), self._receiver.url, self._mutation],
            )
        )
        senders = [Player("sender", folder / f"sender-{n}.out", [url]) for n in range(SENDERS)]
        models = [url, str(folder / "runs.duckdb"), self._mutation]
        return [
            *writers,
            self._server,
            *senders,
            Player("projector", folder / "projector.out", models),
        ]

    def _round(self, cast: Cast, ends: float) -> None:
        """Make faults of every kind for some seconds."""
        until = min(ends, time.monotonic() + ROUND_SECONDS)
        kinds = (*("kill", "kill", "stop") * 2, *self._database.faults)
        stopped_at = 0.0
        while time.monotonic() < until:
            time.sleep(self._fault_seconds * random.uniform(0.2, 1.8))
            if stopped_at and time.monotonic() > stopped_at + STOPPED_SECONDS:
                cast.go_on()
                self._database.mend()
                stopped_at = 0.0
            kind = random.choice(kinds)
            if kind == "kill":
                self.report.faults.update(cast.kill_one())
            elif kind == "stop":
                stopped_at = stopped_at or time.monotonic()
                self.report.faults.update(cast.stop_one())
            else:
                stopped_at = stopped_at or time.monotonic()
                self._database.fault(kind)
                self.report.faults[kind] += 1
            self._ended += [f"a {role}" for role in cast.restarted()]
        cast.go_on()
        self._database.mend()

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Follow the log for the block as a reader does that never goes back."""
        done = Event()

        def follow() -> None:
            while True:
                last_look = done.is_set()
                with self._looking:
                    rows = self._database.rows(self._last())
                    self._seen += [row.position for row in rows]
                if last_look and not rows:
                    return
                time.sleep(0.002)

        thread = Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _wait_for_callbacks(self) -> None:
        """Wait until every callback has come, or for long no other one has."""
        fold = checker.folded(self._database.rows(0))
        least, deadline = len(fold.callbacks) + 1, 0.0
        while waiting := self._callback_faults(fold):
            if len(waiting) < least:
                least, deadline = len(waiting), time.monotonic() + self._delivery_seconds
            elif time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def _callback_faults(self, fold: checker.Fold) -> list[str]:
        answered = dict(self._receiver.answered)
        # A callback may tell of an end that was lost afterwards, when the log went back.
        for run in self._undone:
            if fold.statuses.get(run) != "completed":
                answered.pop(run, None)
        return checker.callback_faults(answered, fold)

    def _check(self) -> None:
        claims = read_claims(sorted(self._folder.glob("*.claims")))
        claims = Claims(claims.begun, claims.acknowledged - self._forgiven)
        log = self._database.rows(0)
        fold = checker.folded(log)
        answered = self._receiver.answered
        asked = self._ask("sql", RUNS, "--json")
        if asked.returncode and "replay --switch" in asked.stderr:
            self.report.refused = " ".join(asked.stderr.split())
            replayed = self._ask("replay", "--switch")
            if replayed.returncode:
                self.report.found["the replay"] = [replayed.stderr]
            asked = self._ask("sql", RUNS, "--json")
        runs = json.loads(asked.stdout) if asked.returncode == 0 else []
        report = self.report
        report.acknowledged, report.events = len(claims.acknowledged), len(log)
        report.repeats = answered.total() - len(answered)
        report.found |= {
            "lost": checker.losses(claims, fold),
            "doubled": checker.doubles(claims, fold),
            "passed or out of order": checker.log_faults(log, self._seen),
            "read models that differ": checker.read_model_faults(runs, fold),
            "ended by themselves": self._ended,
            "callbacks": self._callback_faults(fold),
        }
        if asked.returncode:
            report.found["the read models' answer"] = [asked.stderr]

    def _ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the ledger on the database and the read models."""
        program = [sys.executable, "-m", "scripts.torture.asker", self._mutation]
        places = ["--store", self._database.url]
        places += ["--read-models", str(self._folder / "runs.duckdb")]
        return subprocess.run(
            [*program, *places, *words], cwd=ROOT, check=False, capture_output=True, text=True
        )
