"""A return closes the call that it answers, also with an empty id or one that two calls share."""

import pytest

from runledger import RunLedger
from runledger.ledger.part import LedgerPart


def calls(*named: tuple[str, str]) -> dict[str, object]:
    return {
        "role": "assistant",
        "tool_calls": [
            {"id": id, "function": {"name": name, "arguments": "{}"}} for id, name in named
        ],
    }


def returned(id: str | None, name: str | None = None, status: str = "success") -> dict[str, object]:
    return {
        "role": "tool",
        "tool_call_id": id,
        "name": name,
        "tool_returns": [{"tool_call_id": id, "status": status, "func_response": "done"}],
    }


async def recorded(ledger: RunLedger, *messages: dict[str, object]) -> dict[str, tuple[str, str]]:
    """Return id → name and status of the calls of a run with these messages."""
    run = await ledger.create_run("agent-a")
    await ledger.record_messages(run.run_id, messages)
    still_open = (await ledger.part(LedgerPart).opened.load(run.run_id, None)).open_calls
    _, rows = await ledger.sql(
        f"SELECT tool_call_id, name, status FROM tool_calls WHERE run_id = '{run.run_id}'"
    )
    found = {id: (name, status) for id, name, status in rows}
    assert set(still_open) == {id for id, (_, status) in found.items() if status == "open"}
    return found


@pytest.mark.parametrize("id", ["", None])
async def test_a_call_without_an_id_is_closed_by_a_return_without_one(
    ledger: RunLedger, id: str | None
) -> None:
    found = await recorded(ledger, calls(("", "search")), returned(id))
    assert found == {"call": ("search", "success")}


async def test_calls_without_ids_are_closed_one_by_one(ledger: RunLedger) -> None:
    found = await recorded(
        ledger, calls(("", "a"), ("", "b"), ("", "c")), returned("", "b", "error"), returned("")
    )
    assert found == {"call": ("a", "success"), "call#2": ("b", "error"), "call#3": ("c", "open")}


async def test_the_name_decides_before_the_order_between_calls_of_one_id(ledger: RunLedger) -> None:
    found = await recorded(
        ledger,
        calls(("call_0", "a"), ("call_0", "b")),
        returned("call_0", "b", "error"),
        returned("call_0", "a"),
    )
    assert found == {"call_0": ("a", "success"), "call_0#2": ("b", "error")}


async def test_a_name_that_no_call_has_leaves_the_order(ledger: RunLedger) -> None:
    found = await recorded(
        ledger, calls(("call_0", "a"), ("call_0", "b")), returned("call_0", "x", "error")
    )
    assert found == {"call_0": ("a", "error"), "call_0#2": ("b", "open")}


async def test_a_return_without_an_id_finds_the_call_of_its_name_or_the_only_one(
    ledger: RunLedger,
) -> None:
    named = await recorded(ledger, calls(("1", "a"), ("2", "b")), returned(None, "b"))
    assert named == {"1": ("a", "open"), "2": ("b", "success")}
    only = await recorded(ledger, calls(("1", "a")), returned(""))
    assert only == {"1": ("a", "success")}
    unclear = await recorded(ledger, calls(("1", "a"), ("2", "b")), returned(None))
    assert unclear == {"1": ("a", "open"), "2": ("b", "open")}
    assert await recorded(ledger, returned(None)) == {}
