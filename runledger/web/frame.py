"""What stands around every view: navigation, the moment that is shown, and how fresh it is."""

from typing import Any, Final
from urllib.parse import parse_qsl

from runledger.errors import ReadModelsMissing
from runledger.server.call import Call
from runledger.web.address import Address

NAVIGATION: Final = (
    ("Overview", "overview"),
    ("Runs", "runs"),
    ("Agents", "agents"),
    ("Conversations", "conversations"),
    ("Tools", "tools"),
    ("Models", "models"),
    ("SQL", "sql"),
    ("Operations", "operations"),
)


async def frame(call: Call[Any, Any], path: str) -> dict[str, Any]:
    """Return the values that the template of every view reads."""
    head = await call.services.head()
    try:
        live = call.ledger.read_models
        behind = max(head - live.position, 0)
    except ReadModelsMissing:
        behind = None
    as_of = getattr(call.query, "as_of", None)

    def to(*segments: str, **values: object) -> Address:
        """Return the address of a view at the moment that this one shows."""
        return Address.of(*segments).having(**values, as_of=as_of)

    return {
        "alone": False,
        "nav": [(title, to(name), path.startswith(f"/{name}")) for title, name in NAVIGATION],
        "to": to,
        "as_of": as_of,
        "position": head,
        "behind": behind,
        "store": call.ledger.store.url.partition("?")[0].rpartition("@")[2],
        "key_id": call.caller.key_id,
        "here": Address(path, tuple(parse_qsl(_query(call)))),
    }


def _query(call: Call[Any, Any]) -> str:
    given = call.query.model_dump(mode="json", exclude_defaults=True)
    return str(Address("").having(**given)).removeprefix("?")
