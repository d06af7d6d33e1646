"""Pages of a run's API messages: filtered first, cut only between stored messages."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from math import inf
from typing import Any, Literal, get_args

from runledger.api_messages.conversion import to_api_messages
from runledger.api_messages.models import ApiMessage, MessageType
from runledger.api_messages.request_config import RequestConfig
from runledger.api_messages.speech import spoken_calls
from runledger.errors import InvalidArgument, NotFound
from runledger.messages import Message
from runledger.tool_returns import Blobs

_Place = tuple[int, float]
"""A stored message's number and an index in its API messages; both count in recording order."""


def api_message_page(
    messages: Sequence[Message],
    *,
    agent_type: str | None = None,
    request_config: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    step_id: str | None = None,
    include_return_message_types: Collection[str] | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: int | None = 100,
    order: Literal["asc", "desc"] = "asc",
    blobs: Blobs | None = None,
) -> list[ApiMessage]:
    """Return a page of a run's messages, which are given in the order of recording.

    `after` continues in the requested order, `before` in the opposite; `before` alone returns the
    page that ends there. A cursor is a message id (all API messages of the message), an otid, or
    `<message id>#<index>`. `include_return_message_types` (default: the request config's) applies
    before the limit. A page is shorter than `limit` if the next message does not fit completely,
    longer only if a single message is, and everything if `limit` is None. `step_id` keeps the
    messages of one step, converted as within their run.

    Raises:
        NotFound: for an unknown cursor.
        InvalidArgument: for impossible values.
    """
    if limit is not None and (not isinstance(limit, int) or limit is True or limit < 1):
        raise InvalidArgument(f"limit: expected 1 or more, or None, found {limit!r}")
    if order not in ("asc", "desc"):
        raise InvalidArgument(f"order: expected 'asc' or 'desc', found {order!r}")
    config = RequestConfig.read(request_config)
    wanted = _types(include_return_message_types, config)
    spoken = frozenset(chain.from_iterable(spoken_calls(message, config) for message in messages))

    def shown(number: int, blobs: Blobs | None = None) -> list[ApiMessage]:
        return to_api_messages(
            messages[number],
            agent_type=agent_type,
            request_config=config,
            run_id=run_id,
            spoken=spoken,
            blobs=blobs,
        )

    low: _Place = (-1, inf)
    high: _Place = (len(messages), -1)
    for cursor, from_below in ((after, order == "asc"), (before, order == "desc")):
        if cursor is not None:
            first, last = _span(cursor, messages, shown)
            low, high = (max(low, last), high) if from_below else (low, min(high, first))
    backwards = before is not None and after is None
    forwards = (order == "asc") != backwards
    numbers = range(max(low[0], 0), min(high[0], len(messages) - 1) + 1)
    page: list[list[ApiMessage]] = []
    count = 0
    for number in numbers if forwards else reversed(numbers):
        group = [
            message
            for index, message in enumerate(shown(number, blobs))
            if low < (number, index) < high
            and message.message_type in wanted
            and step_id in (None, message.step_id)
        ]
        # Clients continue from the last id, which means the whole stored message: if a message were
        # split, its second half would be lost.
        if limit is not None and count and count + len(group) > limit:
            break
        page.append(group)
        count += len(group)
        if limit is not None and count >= limit:
            break
    recorded = page if forwards else page[::-1]
    flat = list(chain.from_iterable(recorded))
    return flat if order == "asc" else flat[::-1]


def _types(given: Collection[str] | None, config: RequestConfig) -> frozenset[str]:
    known = frozenset(get_args(MessageType))
    if isinstance(given, str) or not isinstance(given, Collection | None):
        raise InvalidArgument(
            f"include_return_message_types: expected a list of types, found {given!r:.80}"
        )
    types = config.include_return_message_types if given is None else given
    unknown = sorted(set(types or ()) - known)
    if unknown:
        raise InvalidArgument(
            f"include_return_message_types: expected {', '.join(sorted(known))}, found {unknown!r}"
        )
    return frozenset(types or known)


def _span(
    cursor: str, messages: Sequence[Message], shown: Callable[[int], list[ApiMessage]]
) -> tuple[_Place, _Place]:
    """Return the first and last place of a cursor; raise NotFound if there is none."""
    if not isinstance(cursor, str):
        raise NotFound("message", cursor, "it is the cursor of a page")
    message_id, mark, index = cursor.rpartition("#")
    likely = []
    for number, message in enumerate(messages):
        if message.id == cursor:
            return (number, 0), (number, inf)
        if mark and message.id == message_id:
            if index.isdecimal() and int(index) < len(shown(number)):
                return (number, int(index)), (number, int(index))
            raise NotFound("message", cursor)
        # An otid equals its message's id except for the last two digits, or it is the sender's.
        if message.otid == cursor or message.id[:-2].endswith(cursor[:-2]):
            likely.append(number)
    for number in chain(likely, range(len(messages))):
        for part, api_message in enumerate(shown(number)):
            if api_message.otid == cursor:
                return (number, part), (number, part)
    raise NotFound("message", cursor)
