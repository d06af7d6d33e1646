"""The checks of `runledger doctor`: versions, the store, the read models and their lag."""

import platform
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple

from projections.archive.store import ArchiveStore, open_log
from projections.fold.file_errors import expect_readable
from projections.fold.generation import Generation
from projections.fold.log_identity import LogIdentity
from projections.fold.parking import counts
from projections.publishing.publish import FILE
from projections.queries.callbacks import left_out
from projections.queries.clocks import ended_before_they_began
from projections.queries.reported_costs import ReportedCosts, reported_costs
from projections.queries.token_rules import TokenRules, token_rules
from runledger.distribution import DISTRIBUTION, package_version
from runledger.errors import LedgerError, ReadModelsLocked, UndecodableEvent
from runledger.quantities import show_usd
from runledger.store import Store
from runledger.store.tiles import sampled

State = Literal["ok", "note", "wrong"]
_PACKAGES: Final = (DISTRIBUTION, "eventsourcing", "duckdb", "psycopg", "pydantic")


class Check(NamedTuple):
    """One finding; a `note` is information, `wrong` must be repaired."""

    name: str
    state: State
    found: str


def examine(url: str, read_models: str | Path, *, whole: bool = True) -> list[Check]:
    """Check a store and its read models without changing either.

    Without `whole` the database does not check every page of the store, which takes seconds for
    each gigabyte; a note says so.
    """
    return list(_checks(url, Path(read_models), whole))


def _checks(url: str, read_models: Path, whole: bool) -> Iterator[Check]:
    yield Check("python", "ok", platform.python_version())
    for package in _PACKAGES:
        yield Check(package, "ok", package_version(package))
    try:
        store = open_log(url, create=False)
    except LedgerError as e:
        yield Check("store", "wrong", str(e))
        return
    try:
        yield from _store(store, whole)
        yield from _read_models(read_models, store)
    finally:
        store.close()


def _store(store: Store, whole: bool) -> Iterator[Check]:
    facts = store.facts()
    durable = facts.pop("durable") == "yes"
    for name, value in facts.items():
        yield Check(name, "ok", value)
    yield Check(
        "durable",
        "ok" if durable else "wrong",
        "yes" if durable else "no: a power cut can lose events that were acknowledged",
    )
    yield Check("position", "ok", f"{store.head():,}")
    if faults := list(sampled(store)):
        found = f"{faults[0].detail} (position {faults[0].position}); see `runledger verify --log`"
        yield Check("events as they were kept", "wrong", found)
    if not whole:
        found = "not made here, as it reads the whole store; `runledger doctor` makes it"
        yield Check("store's own check", "note", found)
    elif (damage := store.damage()) is not None:
        found = f"{damage}; restore a backup: `runledger restore`"
        yield Check("store's own check", "wrong", found)


def _read_models(named: Path, store: Store) -> Iterator[Check]:
    head = store.head()
    path = named / FILE if named.is_dir() else named
    if not path.exists():
        yield Check("read models", "note", f"{path} is not there; the first question builds it")
        return
    try:
        with closing(Generation(path, read_only=True)) as generation, expect_readable(path):
            generation.expect_whole()
            ends_earlier = isinstance(store, ArchiveStore) and generation.position > head
            if not ends_earlier:
                LogIdentity(path, generation.cursor).expect(store)
            position, stale = generation.position, generation.changed
            streams, events = counts(generation.cursor())
            owed = left_out(generation.cursor())
            reversed_runs, one = ended_before_they_began(generation.cursor())
            # Steps made by older SQL have no rule; that the SQL is older is reported below.
            rules = None if "steps" in stale else token_rules(generation.cursor())
            costs = None if "costs" in stale else reported_costs(generation.cursor())
    except ReadModelsLocked as e:
        yield Check("read models", "note", str(e))
        return
    except LedgerError as e:
        yield Check("read models", "wrong", str(e))
        return
    yield Check("read models", "ok", str(path))
    behind = f"{position:,}, {head - position:,} events behind the store"
    ahead = f"{position:,}, beyond the store's {head:,}: they were made from another store"
    if position > head:
        yield Check("read models' position", "wrong", ahead)
    else:
        yield Check("read models' position", "ok", behind)
    if streams:
        parked = f"{streams:,} runs with {events:,} events; see `runledger parked list`"
        yield Check("left out of the read models", "note", parked)
    if reversed_runs:
        found = f"{reversed_runs:,} ended before they began, such as {one}: two clocks disagree"
        yield Check("runs of unknown duration", "note", found)
    if rules is not None:
        yield from _token_rules(rules)
    if costs is not None:
        yield from _reported_costs(costs)
    yield from _unsent(owed, store)
    if stale:
        found = f"another one would make {', '.join(stale)}; `runledger replay` shows what changes"
        yield Check("read models' SQL", "note", found)
    else:
        yield Check("read models' SQL", "ok", "the one that made their rows")


def _token_rules(rules: TokenRules) -> Iterator[Check]:
    """Report the rules by which tokens were split, and contradictions between counts."""
    for side, counted in rules.steps.items():
        found = ", ".join(f"{rule} {steps:,}" for rule, steps in counted.items())
        yield Check(f"{side} tokens split by", "ok", found)
    if rules.contradicted:
        found = f"{rules.contradicted:,}: input_includes_cache or output_includes_reasoning"
        yield Check("stated against arithmetic", "note", found)
    if rules.totals_apart:
        found = f"{rules.totals_apart:,} steps, such as one of {rules.run}: see docs/usage.md"
        yield Check("totals that are not the sum", "note", found)


def _reported_costs(costs: ReportedCosts) -> Iterator[Check]:
    """Report runs whose reported cost is not the one that follows from prices, and why."""
    if not costs.apart:
        if costs.compared:
            yield Check(
                "reported costs", "ok", f"those of {costs.compared:,} runs are ours, by 1 %"
            )
        return
    ours, theirs = (show_usd(usd, True) for usd in (costs.cost_usd, costs.reported_usd))
    found = (
        f"{costs.apart:,} of {costs.compared:,} runs differ by more than 1 %, such as {costs.run}: "
        f"{ours} by prices, {theirs} reported"
    )
    if costs.uncached:
        found += (
            f"; {costs.uncached:,} cost less as reported and have no cached tokens: probably cache "
            f"facts are missing, and no price is wrong"
        )
    yield Check("reported costs", "note", found)


def _unsent(owed: Iterable[str], store: Store) -> Iterator[Check]:
    """Report callbacks that no dispatcher can send, because their runs cannot be read."""
    faults = []
    for run_id in owed:
        try:
            store.read_stream(run_id, contents=False)
        except UndecodableEvent as e:
            faults.append(str(e))
    if faults:
        found = f"{len(faults):,} of runs that cannot be read; the first: {faults[0]}"
        yield Check("callbacks that cannot be sent", "note", found)
