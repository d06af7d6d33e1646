"""Queries about clocks that disagree: runs that ended before they began."""

from typing import Any, Final

from projections.read_models.catalog import queries

SQL: Final = queries("runs")


def ended_before_they_began(db: Any) -> tuple[int, str | None]:
    """Return how many runs ended before they began, and the id of one of them, or None.

    `db` is a connection to a generation. The durations of such runs are unknown.
    """
    ((runs, one),) = db.execute(SQL["ended_before_they_began"]).fetchall()
    return runs, one
