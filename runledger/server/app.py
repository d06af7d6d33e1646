"""The application: every request passes here, in this order, whatever it asks for.

Host and Origin, then the route, the key, the number of requests at once, the endpoint. Refusals and
errors of any of them become an answer here, and nowhere else.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runledger.errors import LedgerError
from runledger.ids import random_hex
from runledger.server.access_log import AccessLog, Entry
from runledger.server.body import ClientGone
from runledger.server.browser_rules import BrowserRules
from runledger.server.caller import Caller
from runledger.server.endpoint import answer
from runledger.server.http_protocol import ABORT
from runledger.server.problems import failure, problem, refusal_of
from runledger.server.refusal import Refusal
from runledger.server.route import Route
from runledger.server.route_table import Found, RouteTable
from runledger.server.routes import ROUTES
from runledger.server.services import Services

_LOG: Final = logging.getLogger("runledger.server")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")
_PIECE: Final = 256 << 10
_OURS: Final = ("/v1", "/api", "/healthz", "/readyz", "/metrics")


class Application:
    """An ASGI application on an open ledger.

    It is extended by `add_routes` and `mount_pages` before it is served.
    """

    def __init__(
        self,
        services: Services,
        rules: BrowserRules,
        *,
        log: AccessLog | None = None,
    ) -> None:
        self.services = services
        self.routes = services.routes = RouteTable(ROUTES)
        self._rules = rules
        self._pages: ASGIApp | None = None
        self._log = log or AccessLog()

    def add_routes(self, routes: Iterable[Route]) -> None:
        """Add routes, such as those of another protocol's intake.

        They are checked, limited, logged and described as all others are.
        """
        self.routes.add(routes)

    def mount_pages(self, pages: ASGIApp) -> None:
        """Hand every path outside /v1, /api, /healthz, /readyz and /metrics to an application.

        Host and Origin are checked before, but a link from anywhere may lead to a page. Sizes,
        keys and errors are the application's own; time for writing and the log are not.
        """
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        entry = Entry(_request_id(scope), scope["method"])
        entry.begun = time.perf_counter()
        guarded = self._guarded(scope, send, entry)
        try:
            with ExitStack() as held:
                await self._respond(scope, headers, receive, guarded, entry, held)
        except ClientGone:
            entry.status = entry.status or 499
        finally:
            self._log.write(entry)
            seconds = time.perf_counter() - entry.begun
            self.services.metrics.observe(entry.method, entry.route, entry.status, seconds)

    async def _respond(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
        entry: Entry,
        held: ExitStack,
    ) -> None:
        path = scope["raw_path"].decode("ascii", "replace")
        found: Found | None = None
        native = path.startswith("/api/")
        try:
            page = not path.startswith(_OURS)
            found = self.routes.find(scope["method"], path)
            if scope.get("server") is None or scope["server"][1] is not None:
                # A Unix socket has no port, and no browser reaches it.
                self._rules.check(scope["headers"], page=page and found is None)
            if found is None and page and self._pages is not None:
                entry.route = "page"
                await self._pages(scope, receive, send)
                return
            response = await self._answer(found, scope, headers, receive, entry, held)
        except Refusal as e:
            response = _refused(e, found, headers, entry, native)
        except LedgerError as e:
            response = _refused(refusal_of(e), found, headers, entry, native)
            if response.status_code >= 500:
                _LOG.warning("request %s: %s: %s", entry.request_id, type(e).__name__, e)
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:
            _LOG.exception("request %s failed", entry.request_id)
            response = _refused(failure(), found, headers, entry, native)
        await response(scope, receive, send)

    async def _answer(
        self,
        found: Found | None,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        entry: Entry,
        held: ExitStack,
    ) -> Response:
        if found is None:
            raise Refusal(404, "no such address")
        entry.route = found.route.path
        caller = Caller(self.services.actor, every_organization=False)
        if found.route.scope is not None:
            caller = await self.services.authentication.caller(headers)
            entry.key_id, entry.organization = caller.key_id, caller.actor.organization
            caller.expect(found.route.scope)
        if found.route.stream:
            held.enter_context(self.services.streams.hold(caller.key_id))
        return await answer(self.services, caller, found, scope, headers, receive, entry.request_id)

    def _guarded(self, scope: Scope, send: Send, entry: Entry) -> Send:
        """Return `send` with what every answer carries, and an end to a client that never reads."""
        seconds = self.services.limits.write_seconds
        connection = scope.get("extensions", {}).get(ABORT, {})
        abort, waits = connection.get("abort"), connection.get("waits")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-request-id", entry.request_id.encode("ascii")),
                ]
            else:
                entry.bytes += len(message.get("body", b""))
            for piece in _pieces(message):
                if waits is not None and not waits():
                    # Nothing to wait for: a deadline would cost more than the write.
                    await send(piece)
                    continue
                try:
                    async with asyncio.timeout(seconds):
                        await send(piece)
                except TimeoutError:
                    # To close would wait for the very client that does not read.
                    if abort is not None:
                        abort()
                    raise ClientGone from None

        return guarded


def _refused(
    refusal: Refusal,
    found: Found | None,
    headers: Mapping[str, str],
    entry: Entry,
    native: bool,
) -> Response:
    """Return a refusal in the words of its route, or in those of the two interfaces."""
    if found is not None and found.route.refused is not None:
        return found.route.refused(refusal, headers)
    return problem(refusal, entry.request_id, native=native)


def _pieces(message: Message) -> Iterator[Message]:
    """Yield a large body in pieces; each waits until the client has read those before."""
    body = message.get("body", b"")
    if len(body) <= _PIECE:
        yield message
        return
    for place in range(0, len(body), _PIECE):
        last = place + _PIECE >= len(body)
        more = message.get("more_body", False) or not last
        yield {**message, "body": body[place : place + _PIECE], "more_body": more}


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.match(given[0]):
        return str(given[0].decode("ascii"))
    return random_hex()
