"""Compares the costs that providers reported with those that follow from prices."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from projections.read_models.catalog import queries

SQL: Final = queries("costs")


class ReportedCosts(NamedTuple):
    """How many runs report a cost, and in how many it differs by more than a hundredth.

    `uncached` of these cost less as reported, and no step of theirs has cached tokens. `run` is one
    of them; the amounts are the sums of all that differ, None if none do.
    """

    compared: int
    apart: int
    uncached: int
    run: str | None
    cost_usd: Decimal | None
    reported_usd: Decimal | None


def reported_costs(db: Any) -> ReportedCosts:
    """Return the comparison over all steps that have both costs.

    db: a connection to a generation that has costs.
    """
    (row,) = db.execute(SQL["reported_apart"]).fetchall()
    return ReportedCosts(*row)
