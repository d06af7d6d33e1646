"""Costs follow from the log alone: also if prices are listed, and steps priced again, on the way."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runledger.events import (
    PRICES_STREAM,
    Event,
    PricesAdopted,
    PricesApplied,
    PricesListed,
)
from runledger.prices import Price, PriceTable
from runledger.prices.listed import ListedPrice
from runledger.prices.table import Pattern
from runledger.store.codec import encode
from runledger.store.protocol import StreamWrite
from tests.projections import oracle
from tests.projections.histories import ORGANIZATIONS, History, histories
from tests.projections.moves import BEGIN
from tests.projections.reading import parsed, projected, projected_by_pieces

PATTERNS = [
    Pattern("openai", "prefix", "gpt-4", "gpt-4.1"),
    Pattern("openai", "equals", "gpt-4.1", "other"),
]


def _table(price: str) -> PriceTable:
    rows = [
        Price("openai", "gpt-4.1", "", "2024-02-29", "", "", "", "input", price),
        Price("openai", "gpt-4.1", "2024-02-29", "", "", "", "", "output", price),
        Price("openai", "other", "", "", "06:00", "23:00", "", "input", price, 6),
        Price("openai", "other", "", "", "", "", "", "output", "0"),
    ]
    return PriceTable(PATTERNS, rows, "2024-01-01", f"made up at {price}")


_amounts = st.sampled_from(["0", "0.083333", "2.5", "600"])
_adopted = _amounts.map(_table).map(
    lambda table: (
        PricesAdopted,
        {
            "digest": table.digest,
            "source": table.source,
            "dated": table.dated,
            "table": table.packed(),
        },
    )
)
_own = st.lists(
    st.builds(
        ListedPrice,
        provider=st.sampled_from(["openai", "anthropic"]),
        model=st.sampled_from(["gpt-4.1", "claude"]),
        unit=st.sampled_from(["input", "output", "cache_read"]),
        price=_amounts,
        valid_from=st.sampled_from(["", "2024-02-29"]),
        input_from=st.sampled_from([0, 5]),
    ),
    min_size=1,
    max_size=2,
).map(lambda prices: (PricesListed, {"prices": prices}))
_applied = st.tuples(
    st.sampled_from([None, BEGIN, BEGIN + timedelta(hours=3)]), st.sampled_from([None, 0, 5, 99])
).map(lambda drawn: (PricesApplied, {"since": drawn[0], "known_at": drawn[1]}))
_changes = st.lists(
    st.tuples(
        st.integers(0, 60), st.sampled_from(ORGANIZATIONS), st.one_of(_adopted, _own, _applied)
    ),
    min_size=1,
    max_size=4,
)


def _stamped(kind: type[Event], facts: dict[str, Any], number: int, organization: str) -> Event:
    at: datetime = BEGIN + timedelta(minutes=number)
    return kind(
        event_id=f"p{number}", occurred_at=at, recorded_at=at, organization=organization, **facts
    )


@st.composite
def priced_histories(draw: st.DrawFn) -> History:
    """A history with events about prices between its appends."""
    changes = sorted(draw(_changes), key=lambda change: change[0])
    made, history = History(), draw(histories)
    made.runs = history.runs
    version = 0
    for number, append in enumerate([*history.appends, None]):
        while changes and (append is None or changes[0][0] <= number):
            _, organization, (kind, facts) = changes.pop(0)
            event = _stamped(kind, facts, version, organization)
            made.add((StreamWrite(PRICES_STREAM, version, (encode(event),)),))
            version += 1
        if append is not None:
            made.add(append)
    return made


COST_TABLES = ("price_lists", "price_applications", "step_costs", "cost_totals")


@settings(deadline=None)
@given(priced_histories(), st.sampled_from([1, 3, 1000]), st.data())
def test_costs_are_what_each_step_costs_by_itself(
    history: History, batch_events: int, data: st.DataObject
) -> None:
    upto = data.draw(st.sampled_from([history.head, history.head // 2 + 1]))
    found = parsed(projected(history, upto, batch_events))
    expected = parsed(oracle.tables(history.events(upto)))
    for table in COST_TABLES:
        assert found[table] == expected[table], table


@settings(deadline=None)
@given(priced_histories(), st.data())
def test_any_split_gives_the_same_costs(history: History, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, history.head)))
    found = projected_by_pieces(history, {*cuts, history.head})
    assert found == projected(history, history.head, history.head)
