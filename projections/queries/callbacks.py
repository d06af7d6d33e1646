"""Queries about callbacks: pending and delivered ones, and those that no dispatcher can send."""

from typing import Any, Final, Literal, get_args

from projections.read_models.catalog import queries

CallbackStatus = Literal["pending", "delivered", "failed"]
CALLBACK_STATUSES: Final = get_args(CallbackStatus)
SQL: Final = queries("callbacks")


def left_out(db: Any) -> list[str]:
    """Return the ids of runs that are parked and may owe a callback, in log order.

    `db` is a connection to a generation.
    """
    return [run_id for (run_id,) in db.execute(SQL["left_out"]).fetchall()]
