"""Writes synthetic logs straight into a store, past the command layer: 10 events a run.

    python -m scripts.bench.generate sqlite:///big.db 1000000

Facts are made by the codec once per kind of event and filled in as text, so they have the shape
that the ledger itself stores. Runs overlap; the same seed gives the same log.
"""

import argparse
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from runledger import events as e
from runledger.messages import Function, Message, ToolCall, ToolReturn
from runledger.run.message_facts import describe_message
from runledger.run.parties import agent_stream
from runledger.store import open_store
from runledger.store.codec import encode
from runledger.store.postgres.address import parse
from runledger.store.postgres.store import PostgresStore
from runledger.store.sqlite.recorder import SCHEMA as SQLITE_SCHEMA

BEGIN: Final = datetime(2025, 3, 1, tzinfo=UTC)
CHUNK: Final = 20_000
MODELS: Final = (("openai", "gpt-4.1"), ("openai", "gpt-4.1-mini"), ("anthropic", "claude-sonnet"))
TOOLS: Final = ("search", "read_file", "write_file", "run_tests", "query_orders", "send_reply")


@dataclass(frozen=True)
class Load:
    """The shape of a log; `events_per_day` sets how many events share a UTC day."""

    organizations: int = 4
    agents: int = 25
    concurrent_runs: int = 200
    events_per_day: int = 333_333
    body_chars: int = 300
    seed: int = 1


class Row(NamedTuple):
    """An event as a store keeps it."""

    stream: str
    version: int
    topic: str
    facts: bytes
    contents: bytes | None


# Values that stand in a template for what differs from event to event.
_NAMES: Final = (
    *("event_id", "now", "organization", "agent_id", "project_id", "step_id", "provider", "model"),
    *("message_1", "message_2", "call", "returned", "tool", "next_tool", "body"),
)
_MARKS: Final = {name: f"@{name}@" for name in _NAMES}
_NUMBERS: Final = {
    name: 7_000_000_000_000_001 + 10 * place
    for place, name in enumerate(("born", "prompt", "completion", "total", "cached", "fresh", "ns"))
}
_MOMENT: Final = datetime(1999, 1, 2, 3, 4, 5, tzinfo=UTC)


def _template(event: e.Event) -> tuple[bytes, bytes | None]:
    encoded = encode(event)
    made = []
    for given in (encoded.facts, encoded.contents):
        text = given
        if text is not None:
            text = text.replace(b"%", b"%%").replace(b"1999-01-02T03:04:05Z", b"%(now)b")
            for name, mark in _MARKS.items():
                text = text.replace(mark.encode(), b"%%(%b)b" % name.encode())
            for name, number in _NUMBERS.items():
                text = text.replace(str(number).encode(), b"%%(%b)d" % name.encode())
        made.append(text)
    facts, contents = made
    assert facts is not None
    return facts, contents


def _messages(*messages: Message) -> dict[str, Any]:
    return {"messages": [describe_message(m) for m in messages], "bodies": list(messages)}


def _templates() -> dict[str, tuple[str, bytes, bytes | None]]:
    """Return kind of event → (topic, facts, contents) with names in place of values."""
    m, n = _MARKS, _NUMBERS
    common = {
        "event_id": m["event_id"],
        "occurred_at": _MOMENT,
        "recorded_at": _MOMENT,
        "organization": m["organization"],
        "agent_id": m["agent_id"],
        "project_id": m["project_id"],
    }
    run = {**common, "born": n["born"]}
    said = {"id": m["message_2"], "content": m["body"], "created_at": _MOMENT}
    asks = Message(id=m["message_1"], role="user", content=m["body"], created_at=_MOMENT)
    answers = Message(role="assistant", step_id=m["step_id"], **said)
    calls = answers.model_copy(
        update={
            "tool_calls": [
                ToolCall(id=m["call"], function=Function(name=m["next_tool"], arguments='{"q": 1}'))
            ]
        }
    )
    returns = Message(
        id=m["message_1"],
        role="tool",
        step_id=m["step_id"],
        created_at=_MOMENT,
        tool_call_id=m["returned"],
        tool_returns=[ToolReturn(tool_call_id=m["returned"], func_response=m["body"])],
    )
    made = {
        "registered": e.AgentRegistered(**common, name=m["agent_id"]),
        "created": e.RunCreated(
            **run,
            background=False,
            metadata={"run_type": "chat", "source": "api"},
            request_config={"stream": True, "max_steps": 50},
        ),
        "step": e.StepRecorded(
            **run,
            step_id=m["step_id"],
            provider_name=m["provider"],
            provider_category="base",
            model=m["model"],
            model_handle=f"{m['provider']}/{m['model']}",
            context_window_limit=200_000,
            prompt_tokens=n["prompt"],
            completion_tokens=n["completion"],
            total_tokens=n["total"],
            prompt_tokens_details={"cached_tokens": n["cached"]},
            fresh_input_tokens=n["fresh"],
            cache_read_tokens=n["cached"],
            output_tokens=n["completion"],
            stop_reason="end_turn",
            step_start_ns=n["ns"],
            step_ns=n["ns"],
            llm_request_ns=n["ns"],
        ),
        "first": e.MessagesRecorded(**run, **_messages(asks, calls)),
        "middle": e.MessagesRecorded(**run, **_messages(returns, calls)),
        "last": e.MessagesRecorded(**run, **_messages(returns, answers)),
        "heartbeat": e.HeartbeatRecorded(**run),
        "patched": e.RunMetadataPatched(**run, patch={"title": "synthetic"}),
        "completed": e.RunCompleted(**run, stop_reason="end_turn", run_ns=n["ns"]),
        "failed": e.RunFailed(
            **run, stop_reason="llm_api_error", run_ns=n["ns"], error_type="timeout"
        ),
        "cancelled": e.RunCancelled(**run, run_ns=n["ns"]),
    }
    return {kind: (event.topic, *_template(event)) for kind, event in made.items()}


class Clock:
    """The log's time: moves on by a random share of a day per event."""

    def __init__(self, load: Load, rng: random.Random) -> None:
        self._rng = rng
        self._mean = 86_400e6 / load.events_per_day
        self.micros = int(BEGIN.timestamp() * 1e6)
        self._second = (0, b"")

    def tick(self) -> bytes:
        """Move on; return the moment as the codec writes it."""
        self.micros += int(self._rng.expovariate(1 / self._mean)) + 1
        second, micros = divmod(self.micros, 1_000_000)
        if second != self._second[0]:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (second, text.encode())
        return b"%b.%06dZ" % (self._second[1], micros)


def _uuid(rng: random.Random) -> bytes:
    digits = b"%032x" % rng.getrandbits(128)
    return b"%b-%b-4%b-a%b-%b" % (
        *(digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:]),
    )


def rows(load: Load | None = None) -> Iterator[Row]:
    """Yield events without end, in the order in which a log would hold them."""
    load = load or Load()
    rng = random.Random(load.seed)
    clock = Clock(load, rng)
    templates = _templates()
    body = b"".join(b"%c" % rng.choice(b"abcdefgh  etaoin") for _ in range(load.body_chars))

    def fill(stream: str, version: int, kind: str, values: dict[bytes, Any]) -> Row:
        topic, facts, contents = templates[kind]
        values[b"event_id"] = b"%032x" % rng.getrandbits(128)
        values[b"now"] = clock.tick()
        return Row(stream, version, topic, facts % values, contents and contents % values)

    owners = []
    for number in range(load.organizations):
        for agent in range(load.agents):
            owner = {
                b"organization": b"org-%d" % number,
                b"agent_id": b"agent-%d" % agent,
                b"project_id": b"project-%d" % (agent % 3),
            }
            owners.append(owner)
            stream = agent_stream(f"org-{number}", f"agent-{agent}")
            yield fill(stream, 1, "registered", dict(owner))

    def begin() -> Iterator[list[Row]]:
        return _run(rng, clock, dict(rng.choice(owners)), body, fill)

    active = [begin() for _ in range(load.concurrent_runs)]
    while True:
        place = int(rng.random() * len(active))
        append = next(active[place], None)
        if append is None:
            active[place] = begin()
        else:
            yield from append


def _run(
    rng: random.Random,
    clock: Clock,
    values: dict[bytes, Any],
    body: bytes,
    fill: Callable[[str, int, str, dict[bytes, Any]], Row],
) -> Iterator[list[Row]]:
    """Yield what one run appends, one append at a time."""
    stream = f"run-{_uuid(rng).decode()}"
    version = 0

    def made(kind: str) -> Row:
        nonlocal version
        version += 1
        return fill(stream, version, kind, values)

    began = clock.micros
    provider, model = rng.choice(MODELS)
    values.update({b"born": began, b"provider": provider.encode(), b"model": model.encode()})
    yield [made("created")]
    steps = rng.choice((2, 3, 3, 4, 4, 5))
    for number in range(steps):
        prompt, cached = int(200 + 20_000 * rng.random()), int(150 * rng.random())
        completion = int(10 + 900 * rng.random())
        values.update(
            {
                b"step_id": b"step-" + _uuid(rng),
                b"message_1": b"message-" + _uuid(rng),
                b"message_2": b"message-" + _uuid(rng),
                b"returned": values.get(b"call", b""),
                b"call": b"call_%016x" % rng.getrandbits(64),
                b"next_tool": rng.choice(TOOLS).encode(),
                b"prompt": prompt,
                b"completion": completion,
                b"total": prompt + completion,
                b"cached": cached,
                b"fresh": prompt - cached,
                b"ns": int(10**8 + 10**10 * rng.random()),
                b"body": body[: int(rng.random() * len(body))],
            }
        )
        said = "last" if number == steps - 1 else "middle" if number else "first"
        yield [made("step"), made(said)]
        if rng.random() < 0.1:
            yield [made(rng.choice(("heartbeat", "patched")))]
    values[b"ns"] = (clock.micros - began) * 1000
    ends = rng.random()
    yield [made("completed" if ends < 0.88 else "failed" if ends < 0.96 else "cancelled")]


def fill_sqlite(url: str, given: Iterator[Row], count: int) -> None:
    """Append `count` rows to an SQLite store, unsynchronized: for measuring only."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        # The guard against replaced rows looks every row up twice.
        db.execute("DROP TRIGGER ledger_events_no_replace")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO ledger_events"
            " (originator_id, originator_version, topic, state, contents) VALUES (?, ?, ?, ?, ?)",
            islice(given, count),
        )
        db.execute("COMMIT")
        db.executescript(SQLITE_SCHEMA)


def fill_postgres(dsn: str, given: Iterator[Row], count: int) -> None:
    """Append `count` rows to a PostgreSQL store by COPY."""
    with psycopg.connect(dsn) as db, db.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        columns = "originator_id, originator_version, topic, state, contents"
        with cursor.copy(f"COPY ledger_events ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "int8", "text", "bytea", "bytea"])
            for row in islice(given, count):
                copy.write_row(row)
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("VACUUM (ANALYZE) ledger_events")


def generate(url: str, count: int, load: Load | None = None) -> None:
    """Fill the empty store at `url` with `count` events."""
    store = open_store(url)
    try:
        given = rows(load)
        if isinstance(store, PostgresStore):
            schema = f"-c search_path={parse(url).schema}"
            fill_postgres(make_conninfo(store._dsn, options=schema), given, count)
        else:
            fill_sqlite(url, given, count)
        assert store.head() == count, store.head()
    finally:
        store.close()


def main() -> None:
    """Fill the store named on the command line and say how long it took."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.generate", description=__doc__)
    parser.add_argument("url", help="of a store that is empty, or not there")
    parser.add_argument("events", type=int)
    asked = parser.parse_args()
    url, count = asked.url, asked.events
    begin = time.perf_counter()
    generate(url, count)
    seconds = time.perf_counter() - begin
    print(f"{count} events in {timedelta(seconds=round(seconds))}: {count / seconds:,.0f}/s")


if __name__ == "__main__":
    main()
