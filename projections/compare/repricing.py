"""What would change if steps were priced again: the fold of costs, beside the live rows."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from projections.fold.event_tables import event_tables
from projections.fold.loader import SQL as BATCH
from projections.fold.step_prices import StepPrices
from projections.generations.live import LiveReadModels
from projections.queries.queries import Queries
from projections.read_models.buckets import for_each_bucket
from runledger.errors import ReadModelsError
from runledger.events import StepRecorded
from runledger.price_records import PriceChange
from runledger.prices.known import END
from runledger.sql_file import parse

_FILE: Final = Path(__file__).with_name("repricing.sql")
SQL: Final = {
    found.name: found.sql for found in parse(for_each_bucket(_FILE.read_text(encoding="utf-8")))
}
COSTS: Final = "costs"
_STATEMENTS: Final = ("used", "again", "used_again", "priced")
"""The statements of the fold of costs that make nothing but temporary tables, in order."""


KnownAt = int | Literal["now", "recorded"]
"""Which prices a step is priced by: those listed now, before it, or up to a position."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class RepricedGroup(_Record):
    """Steps of one model and UTC day of the request whose cost changes, from one price row to
    another.

    A cost or a row is None if it is unknown; an unknown cost counts as nothing in the difference.
    `run_id` is one of the runs.
    """

    organization: str
    day: date
    model: str | None
    old_row: str | None
    new_row: str | None
    steps: int
    runs: int
    run_id: str
    old_usd: Decimal | None
    new_usd: Decimal | None
    difference_usd: Decimal
    old_unpriced_tokens: int
    new_unpriced_tokens: int


class PriceDifference(_Record):
    """What a decision to price steps again changes; `position` is that of the read models.

    `old_usd` and `new_usd` are the known costs of all `steps`, also of those that do not change.
    """

    position: int
    steps: int
    old_usd: Decimal
    new_usd: Decimal
    difference_usd: Decimal
    groups: list[RepricedGroup]

    @property
    def repriced(self) -> int:
        """The number of steps whose cost changes."""
        return sum(group.steps for group in self.groups)


class Repriced(NamedTuple):
    """What changes, and the event that decided it; None if nothing was recorded."""

    difference: PriceDifference
    change: PriceChange | None


def price_difference(
    live: LiveReadModels, since: datetime | None, known_at: int | None
) -> PriceDifference:
    """Return what the event `prices.applied` with these values would change; nothing is written.

    live: the read models. since: as in the event. known_at: as in the event.

    Raises:
        ReadModelsError: if the costs were made by other SQL than that of this version.
    """
    live.catch_up()
    models = {model.name: model for model in live.generation.models}
    if COSTS not in models or COSTS in live.changed:
        raise ReadModelsError(
            f"read models {str(live.path)!r}: expected costs made by this version, found none or "
            f"older ones; run `runledger replay --switch`"
        )
    fold = {statement.name: statement.sql for statement in models[COSTS].apply}
    with live.snapshot() as snapshot:
        db = snapshot.db
        for macro in ("tier", "moment"):
            db.execute(BATCH[macro])
        decision = {"position": END, "since": since, "known_at": known_at}
        db.execute(SQL["applied"], decision)
        shape = event_tables()[StepRecorded.topic].shape
        db.execute(f"{SQL['no_steps']} {BATCH['none']}", {"shape": shape})
        for name in _STATEMENTS:
            if name == models[COSTS].declaration.priced:
                StepPrices().look_up(db)
            db.execute(fold[name])
        db.execute(SQL["repriced"])
        asked = Queries(db)
        groups = [RepricedGroup(**row) for row in asked.rows(SQL["groups"])]
        (sums,) = asked.rows(SQL["sums"])
    return PriceDifference(position=snapshot.position, groups=groups, **sums)
