"""A view: the facts that its JSON twin says, and what the page is drawn from beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runledger.web.address import Address


@dataclass(frozen=True, slots=True)
class View:
    """What a handler of the page returns.

    `facts` are values that pydantic can write; the JSON twin is these and nothing else. `drawn` are
    charts and links, which only the template reads. `title` is the title of the window.
    """

    template: str
    title: str
    facts: Mapping[str, Any]
    drawn: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The browser goes there next (303), as after a form that changed something."""

    address: Address
    cookie: str | None = None
    """The value of Set-Cookie, if one is set."""
