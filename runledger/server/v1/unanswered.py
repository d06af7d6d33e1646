"""The questions of the official client that a ledger cannot answer: 501, with words."""

from pathlib import Path
from typing import Any, Final, NoReturn

from runledger.server.call import Call
from runledger.server.refusal import Refusal
from runledger.server.route import Lenient, Route

_LINES: Final = (Path(__file__).parent / "unanswered.txt").read_text(encoding="utf-8").splitlines()
"""A path and its methods on each line, as letta-client 1.12 has them."""


async def refuse(_call: Call[Lenient, None]) -> NoReturn:
    """Say that this is a ledger."""
    raise Refusal(
        501,
        "this is a ledger: runs are created by what executes them, and reported here; "
        "it has no agents, tools or models of its own",
        close=True,
    )


def _route(path: str, method: Any) -> Route:
    name = path.removeprefix("/v1/").translate({ord("{"): None, ord("}"): None})
    return Route(
        method,
        path,
        f"{name.replace('/', '_').replace('-', '_')}_{method.lower()}",
        refuse,
        # Of any type and size: it is not looked at.
        takes=(),
        errors=(501,),
    )


ROUTES: Final = tuple(
    _route(path, method)
    for path, *methods in (line.split() for line in _LINES)
    for method in methods
)
