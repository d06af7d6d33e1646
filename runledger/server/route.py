"""A route: everything that is known of one address, from which dispatch and the OpenAPI follow."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from runledger.server.refusal import Refusal

Scope = Literal["runs:read", "runs:write", "log:read", "sql", "operate", "metrics"]
"""The purposes that a key may have. An address without a scope asks for no key."""

SCOPES: Final[tuple[Scope, ...]] = (
    "runs:read",
    "runs:write",
    "log:read",
    "sql",
    "operate",
    "metrics",
)

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"


class Lenient(BaseModel):
    """Parameters of `/v1`: those that it does not know are ignored, as its client expects."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Strict(BaseModel):
    """Parameters of `/api/v1`: one that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `path` has names in braces, each standing for one segment; it answers with and without its last
    slash. `name` is the operation's id in the OpenAPI. `handler` takes a Call and returns what
    `answer`, a type that pydantic can write as JSON, describes, or a Starlette Response. `scope` is
    what the caller's key must allow. `query` and `body` are the models of parameters and body; a
    route without a body model reads none. `rows` is the class of the records in an answer that may
    be asked for as a table. `takes` are the content types of its body, `gzip` says
    that it may be compressed, `batch` that it may be as large as a batch. `status` is that of a
    good answer, `produces` its content types; `errors` are the other statuses, of which those in
    `answering` may come with such an answer, too. A `stream` is
    counted and timed as one. `raw` gives the body to the handler as bytes, unparsed. `most` are the
    bytes that its body may have if neither limit is meant, `refused` makes the answer of a refusal
    in the words of another protocol.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    name: str
    handler: Callable[[Any], Awaitable[object]]
    scope: Scope | None = "runs:read"
    query: type[BaseModel] = Lenient
    body: type[BaseModel] | None = None
    answer: Any = None
    rows: type[BaseModel] | None = None
    takes: tuple[str, ...] = (JSON,)
    gzip: bool = False
    batch: bool = False
    raw: bool = False
    most: int | None = None
    refused: Callable[[Refusal, Mapping[str, str]], Response] | None = None
    status: int = 200
    produces: tuple[str, ...] = (JSON,)
    errors: tuple[int, ...] = ()
    answering: tuple[int, ...] = ()
    stream: bool = False
    summary: str = ""

    @property
    def native(self) -> bool:
        """Whether it belongs to our own interface, whose errors are problem documents."""
        return self.path.startswith("/api/")
