"""What the read models of prices and costs must hold: each step priced by itself, in plain Python.

It shares no code with the SQL. Names are resolved and prices cut into cells by runledger.prices,
which worked examples test on their own.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from runledger.events import PricesAdopted, PricesApplied, PricesListed
from runledger.prices import Named, Price, cells, resolve
from runledger.prices.table import opening, unpacked, with_own
from runledger.store.protocol import StoredEvent
from runledger.usage import COUNTED
from tests.prices.direct_cost import Tokens, cost

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_2000 = 946684800 * 10**9


def cost_tables(log: list[StoredEvent], steps: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of the tables of prices and of costs.

    log: all events. steps: the rows of `steps`, without those of deleted runs.
    """
    costs = [_step_cost(log, step) for step in steps if step["status"] != "pending"]
    return {
        "price_lists": [row for stored in log for row in _lists(stored)],
        "price_applications": [
            {
                "position": stored.position,
                "since": stored.event.since,
                "known_at": stored.event.known_at,
                "applied_at": stored.event.recorded_at,
                "applied_by": stored.event.user,
            }
            for stored in log
            if isinstance(stored.event, PricesApplied)
        ],
        "step_costs": costs,
        "cost_totals": _totals(costs),
    }


def _lists(stored: StoredEvent) -> Iterable[Row]:
    event = stored.event
    row = {
        "position": stored.position,
        "organization": None,
        "source": None,
        "digest": None,
        "listed_at": event.recorded_at,
        "listed_by": event.user,
    }
    if isinstance(event, PricesAdopted):
        yield row | {"source": event.source, "digest": event.digest, "content": event.table}
    elif isinstance(event, PricesListed):
        content = [price.model_dump() for price in event.prices]
        yield row | {"organization": event.organization, "content": content}


def _began(step: Row) -> datetime:
    for name in ("llm_request_start_ns", "step_start_ns"):
        if (step[name] or 0) >= YEAR_2000:
            return EPOCH + timedelta(microseconds=int(step[name]) // 1000)
    ended: datetime = step["created_at"]
    return ended


def _known_at(log: list[StoredEvent], step: Row) -> int:
    known: int = step["position"]
    for stored in log:
        event = stored.event
        applies = isinstance(event, PricesApplied) and stored.position > step["position"]
        if applies and (event.since is None or _began(step) >= event.since):
            known = step["position"] if event.known_at is None else event.known_at
    return known


def _step_cost(log: list[StoredEvent], step: Row) -> Row:
    known, table, own = _known_at(log, step), opening(), list[Price]()
    for stored in log:
        if stored.position <= known and isinstance(stored.event, PricesAdopted):
            table = unpacked(stored.event.table)
        mine = stored.event.organization == step["organization"]
        if stored.position <= known and mine and isinstance(stored.event, PricesListed):
            own += [Price(**price.model_dump()) for price in stored.event.prices]
    usage = step["usage_details"] or {}
    tier = usage.get("service_tier") or ("fast" if usage.get("speed") == "fast" else None)
    found = resolve(
        with_own(table, own), Named(step["provider_name"], step["model"], step["model_handle"])
    )
    made = []
    if found is not None:
        key = (found.provider, found.model)
        mine_too = [row for row in own if (row.provider, row.model) == key]
        made = cells(table.by_model.get(key, ()), tier, found.flags, mine_too)
    written, hour = step["cache_write_tokens"], step["cache_write_1h_tokens"]
    tokens = Tokens(
        step["fresh_input_tokens"],
        step["cache_read_tokens"],
        None if written is None else written - (hour or 0),
        hour,
        step["output_tokens"],
        step["reasoning_tokens"],
    )
    paid = cost(tokens, _began(step), made)
    names = ("run_id", "step_id", "born", "organization", "agent_id", "project_id", "model")
    # All writes at the price of five minutes; those kept for an hour cost the rest more.
    brief = cost(tokens._replace(cache_write=written, cache_write_1h=None), _began(step), made)
    units: dict[str, int | None] = {f"{name}_usd": n for name, n in brief.units.items()}
    units["fresh_input_usd"] = units.pop("input_usd", None)
    if hour is not None and paid.total is not None and "cache_write_usd" in units:
        units["cache_write_1h_usd"] = paid.total - (brief.total or 0)
    return {
        **{name: step[name] for name in (*names, "created_at", "position")},
        "requested_at": _began(step).astimezone(UTC).replace(tzinfo=None),
        **{name: _usd(units.get(name)) for name in map(_usd_column, COUNTED)},
        "cost_usd": _usd(paid.total),
        "unpriced_tokens": paid.unpriced,
        "complete": paid.complete,
        "price_row": paid.price_row,
        "price_flags": ", ".join(paid.flags) or None,
        "reported_usd": Decimal(str(usage["cost"])) if "cost" in usage else None,
    }


def _usd_column(bucket: str) -> str:
    return bucket.removesuffix("_tokens") + "_usd"


def _usd(pico: int | None) -> Decimal | None:
    with localcontext(prec=60):
        return None if pico is None else Decimal(pico).scaleb(-12)


def _totals(costs: list[Row]) -> list[Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    for step in costs:
        key = {name: step[name] for name in ("organization", "project_id", "agent_id", "model")}
        key["day"] = step["created_at"].astimezone(UTC).date()
        counts = ("steps", "priced_steps", "incomplete_steps", "unpriced_tokens", "reported_steps")
        fresh = {**key, **dict.fromkeys(counts, 0), "cost_usd": None, "reported_usd": None}
        row = rows.setdefault(tuple(key.values()), fresh)
        row["steps"] += 1
        row["incomplete_steps"] += not step["complete"]
        row["unpriced_tokens"] += step["unpriced_tokens"]
        for amount, count in (("cost_usd", "priced_steps"), ("reported_usd", "reported_steps")):
            if step[amount] is not None:
                row[count] += 1
                with localcontext(prec=60):
                    row[amount] = (row[amount] or Decimal(0)) + step[amount]
    return list(rows.values())
