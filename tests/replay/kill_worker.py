"""Kills replays and switches at random points, and says after each kill what is served.

A process of its own: it has imported everything and opened nothing, so that its children are made
by fork, quickly, and hold nothing that is not theirs.

    python kill_worker.py FOLDER SWITCHES REPLAYS SEED
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from replaying import contents, copied_sql, digests, planted_bug

from projections.generations import Generations
from projections.live import LiveReadModels
from projections.operations import Operations
from projections.read_models import BESIDE, changed, discover
from projections.replay import build
from runledger.store import Store, open_store

BATCH = 300
FOLDER = Path(sys.argv[1])
PATH = FOLDER / "runs.duckdb"
FRESH = FOLDER / "fresh.duckdb"


def child(work: Callable[[Store], object]) -> int:
    """Do something in a process that can be killed; return its id."""
    pid = os.fork()
    if pid == 0:
        try:
            store = open_store(f"sqlite:///{FOLDER}/runs.db")
            work(store)
            store.close()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def finish(work: Callable[[Store], object]) -> None:
    """Do something in a process that nobody kills."""
    _, status = os.waitpid(child(work), 0)
    assert status == 0, "a child that nobody killed failed"


def killed(work: Callable[[Store], object], after: float) -> None:
    """Do something in a process that is killed after so many seconds."""
    pid = child(work)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def first(store: Store) -> None:
    """Make live read models by the SQL with the bug."""
    os.environ[BESIDE] = str(FOLDER / "wrong")
    live = LiveReadModels(store, PATH)
    live.catch_up()
    live.close()


def fresh(store: Store) -> None:
    """Replay without being killed."""
    Generations(FRESH).install(build(store, FRESH).number)


def replay(store: Store) -> None:
    """Replay again and again."""
    while True:
        build(store, PATH, batch_events=BATCH)
        for entry in Generations(PATH).entries():
            if entry.state == "candidate":
                Generations(PATH).drop(entry.number)


def switch(store: Store) -> None:
    """Switch to and fro."""
    live = LiveReadModels(store, PATH)
    operations = Operations(store, live)
    while True:
        number = next(e.number for e in live.generations.entries() if e.state != "live")
        operations.switch(number)


def look(store: Store) -> None:
    """Open what is there, bring it up to date, say which it is and whether it is whole."""
    live = LiveReadModels(store, PATH)
    live.catch_up()
    which = "old" if changed(live.generation.models, discover()) else "new"
    whole = digests(live.generation) == json.loads((FOLDER / f"{which}.json").read_text())
    live.close()
    left = [file.name for file in PATH.parent.glob(f"{PATH.name}*.wal")]
    print(json.dumps({"served": which, "whole": whole, "left": left}), flush=True)


def remember(store: Store) -> None:
    """Write down what the old and the new read models say."""
    for which, path in (("old", PATH), ("new", FRESH)):
        live = LiveReadModels(store, path)
        (FOLDER / f"{which}.json").write_text(json.dumps(digests(live.generation)))
        live.close()


def resume(store: Store) -> None:
    """Go on with a replay that was killed; say whether it comes to what a fresh one does."""
    begun = [entry.state for entry in Generations(PATH).entries()]
    built = build(store, PATH)
    same = contents(Generations(PATH).file(built.number)) == contents(FRESH)
    print(json.dumps({"begun": begun, "resumed": same}), flush=True)


def main() -> None:
    """Print one line of JSON per kill, and one with the end."""
    switches, replays = int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(int(sys.argv[4]))
    planted_bug(FOLDER / "wrong")
    os.environ[BESIDE] = str(copied_sql(FOLDER / "right"))
    for work in (first, fresh, remember):
        finish(work)
    begin = time.monotonic()
    finish(lambda store: build(store, PATH, batch_events=BATCH))
    took = time.monotonic() - begin
    for _ in range(switches):
        killed(switch, rng.uniform(0, took))
        finish(look)
    for _ in range(replays):
        killed(replay, rng.uniform(0, 1.2 * took))
        finish(look)
    finish(lambda store: build(store, PATH, fresh=True, batch_events=BATCH))
    killed(lambda store: build(store, PATH, fresh=True, batch_events=BATCH), took / 2)
    finish(resume)


if __name__ == "__main__":
    main()
