"""Kills replays, switches, publishing and archiving at random points; says what each kill left.

A process of its own: it has imported everything and opened nothing, so that its children are made
by fork, quickly, and hold nothing that is not theirs.

    python kill_worker.py FOLDER ROUNDS SEED
"""

import json
import logging
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from replaying import copied_sql, digests, planted_bug

from projections.archive.archive import MANIFEST, Archive
from projections.archive.writer import archive
from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.publishing.publish import FILE, publish
from projections.read_models.catalog import BESIDE
from projections.replay.replay import build
from runledger.store import Store, open_store

BATCH = 200
SEGMENT = 120
FOLDER = Path(sys.argv[1])
PATH = FOLDER / "runs.duckdb"
FRESH = FOLDER / "fresh.duckdb"
PUBLISHED = FOLDER / "published"
ARCHIVE = FOLDER / "archive"
RESUMED = FOLDER / "resumed"
FOUND = FOLDER / "found"
rng = random.Random(int(sys.argv[3]))

Work = Callable[[Store], object]


def child(work: Work) -> int:
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


def finish(work: Work) -> float:
    """Do something in a process that nobody kills; return how long it took."""
    begin = time.monotonic()
    _, status = os.waitpid(child(work), 0)
    assert status == 0, "a child that nobody killed failed"
    return time.monotonic() - begin


def killed(work: Work, after: float) -> None:
    """Do something again and again in a process that is killed after so many seconds."""

    def endlessly(store: Store) -> None:
        while True:
            work(store)

    pid = child(endlessly)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "a child failed before it was killed"


def first(store: Store) -> None:
    """Make live read models by the SQL with the bug."""
    os.environ[BESIDE] = str(FOLDER / "wrong")
    with closing(LiveReadModels(store, PATH)) as live:
        live.catch_up()


def fresh(store: Store) -> None:
    """Replay without being killed."""
    Generations(FRESH).install(build(store, FRESH).number)


def remember(store: Store) -> None:
    """Write down what the old and the new read models say."""
    for which, path in (("old", PATH), ("new", FRESH)):
        with closing(LiveReadModels(store, path)) as live:
            (FOLDER / f"{which}.json").write_text(json.dumps(digests(live.generation)))


def said(generation: Generation) -> str | None:
    """Return which read models these are, if they are whole."""
    found = json.dumps(digests(generation))
    return next((w for w in ("old", "new") if found == (FOLDER / f"{w}.json").read_text()), None)


def replay(store: Store) -> None:
    """Replay, or go on with what a kill left; note what a resumed one comes to."""
    begun: list[int] = []
    built = build(
        store,
        PATH,
        batch_events=BATCH,
        begun=lambda _number, position, _head: begun.append(position),
    )
    if 0 < begun[0] < store.head():
        with closing(Generation(Generations(PATH).file(built.number))) as generation:
            RESUMED.write_text(f"{RESUMED.read_text()}{said(generation)}\n")
    Generations(PATH).drop(built.number)


def switch(store: Store) -> None:
    """Switch to and fro."""
    with closing(LiveReadModels(store, PATH)) as live:
        operations = Operations(store, live)
        for _ in range(2):
            number = next(e.number for e in live.generations.entries() if e.state == "kept")
            operations.switch(number)


def publishing(store: Store) -> None:
    """Publish the old read models and the new ones, in any order."""
    with ExitStack() as stack:
        both = [stack.enter_context(closing(LiveReadModels(store, p))) for p in (PATH, FRESH)]
        for live in rng.sample(both, 2):
            publish(Operations(store, live).copy, PUBLISHED)


def archiving(store: Store) -> None:
    """Archive the log; once it is whole, begin again."""
    if archive(store, ARCHIVE, segment_events=SEGMENT).position == store.head():
        shutil.rmtree(ARCHIVE)


def look_at_live(store: Store) -> dict[str, object]:
    """Open what is live, bring it up to date, say which it is if it is whole."""
    with closing(LiveReadModels(store, PATH)) as live:
        live.catch_up()
        found = said(live.generation)
    return {"found": found, "left": [file.name for file in FOLDER.glob(f"{PATH.name}*.wal")]}


def look_at_copy(_store: Store) -> dict[str, object]:
    """Open the published copy."""
    with closing(Generation(PUBLISHED / FILE, read_only=True)) as copy:
        return {"found": said(copy), "left": []}


def look_at_archive(store: Store) -> dict[str, object]:
    """Check every byte that the archive vouches for, and complete it."""
    if not (ARCHIVE / MANIFEST).exists():
        return {"found": "none", "left": []}
    begun = Archive(ARCHIVE)
    begun.verify()
    archive(store, ARCHIVE, segment_events=SEGMENT)
    Archive(ARCHIVE).verify()
    known = {file.name for s in Archive(ARCHIVE).manifest.segments for file in (s.columns, s.raw)}
    left = sorted({file.name for file in ARCHIVE.iterdir()} - known - {MANIFEST})
    whole = Archive(ARCHIVE).events == len(store.read_log(0, 1_000_000))
    shutil.rmtree(ARCHIVE)
    return {"found": f"{len(begun.manifest.segments)} segments" if whole else None, "left": left}


KINDS: dict[str, tuple[Work, Callable[[Store], dict[str, object]]]] = {
    "replay": (replay, look_at_live),
    "publish": (publishing, look_at_copy),
    "archive": (archiving, look_at_archive),
    "switch": (switch, look_at_live),
}


ENDS_IN_BOTH = ("publish", "switch")
"""Kinds that leave the old read models or the new ones."""


def attempt(
    kind: str, work: Work, look: Callable[[Store], dict[str, object]], after: float
) -> None:
    """Kill something after so many seconds; print what is left, and note which it is."""

    def tell(store: Store) -> None:
        seen = look(store)
        print(json.dumps({"killed": kind, **seen}))
        with FOUND.open("a") as noted:
            print(seen["found"], file=noted)

    killed(work, after)
    finish(tell)


def both(store: Store) -> None:
    """Have the old and the new read models beside each other."""
    number = build(store, PATH).number
    with closing(LiveReadModels(store, PATH)) as live:
        Operations(store, live).switch(number)


def main() -> None:
    """Print one line of JSON per kill, and one with the end."""
    logging.disable()
    planted_bug(FOLDER / "wrong")
    os.environ[BESIDE] = str(copied_sql(FOLDER / "right"))
    RESUMED.write_text("")
    for work in (first, fresh, remember):
        finish(work)
    for kind, (work, look) in KINDS.items():
        if kind == "switch":
            # Last, as what the others start from is that the old ones are live.
            finish(both)
        took = finish(work)
        FOUND.write_text("")
        for _ in range(int(sys.argv[2])):
            attempt(kind, work, look, rng.uniform(0, took))
        # What a busy machine does in the time that an idle one took may be the beginning alone.
        for _ in range(40):
            if kind not in ENDS_IN_BOTH or len(set(FOUND.read_text().split())) == 2:
                break
            took *= 1.1
            attempt(kind, work, look, rng.uniform(0, took))
        while kind == "replay" and len(RESUMED.read_text().split()) < 3:
            killed(work, rng.uniform(0, took))
            finish(work)
    print(json.dumps({"resumed": RESUMED.read_text().split()}))


if __name__ == "__main__":
    main()
