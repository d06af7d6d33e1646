"""The application of the page: a view's handler, drawn as HTML or said as JSON, errors in words."""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from runledger.errors import LedgerError
from runledger.ids import random_hex
from runledger.server.body import ClientGone, read_body, until_gone
from runledger.server.call import Call
from runledger.server.caller import Caller
from runledger.server.parameters import read_model, read_query
from runledger.server.problems import failure, problem, refusal_of
from runledger.server.refusal import Refusal
from runledger.server.route_table import Found, RouteTable
from runledger.server.services import Services
from runledger.server.tables import MEDIA
from runledger.web.address import Address
from runledger.web.environment import environment
from runledger.web.frame import frame
from runledger.web.routes import DOWNLOADS, ROUTES
from runledger.web.sessions import Sessions
from runledger.web.static_files import static_file
from runledger.web.view import Elsewhere, View

_LOG: Final = logging.getLogger("runledger.web")
FORM: Final = "application/x-www-form-urlencoded"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not `no-referrer`: a form would then be sent with the origin `null`, which is not ours.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class WebApplication:
    """An ASGI application for every path outside the server's own interfaces.

    A path that ends with `.json` is the same view as JSON.

    Parameters:
        services: what all requests of the server share.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions = Sessions(services.authentication)
        self._routes = RouteTable(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        path = scope["raw_path"].decode("ascii", "replace")
        stem, form = _form(path)
        asked = Address(stem, tuple(_pairs(scope["query_string"])))
        try:
            response = await self._respond(scope, headers, receive, stem, form)
        except Refusal as e:
            response = self._refused(e, headers, asked, form)
        except LedgerError as e:
            response = self._refused(refusal_of(e), headers, asked, form)
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:
            _LOG.exception("page %s failed", path)
            response = self._refused(failure(), headers, asked, form)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _respond(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive, stem: str, form: str
    ) -> Response:
        if stem.startswith("/static/"):
            digest, _, name = stem.removeprefix("/static/").partition("/")
            return static_file(digest, name)
        found = self._routes.find(scope["method"], stem)
        if found is None:
            raise Refusal(404, "there is no such view")
        route = found.route
        if route.method == "POST":
            _expect_origin(headers)
        caller = Caller(self._services.actor, every_organization=False)
        if route.scope is not None:
            caller = await self._sessions.caller(headers)
            caller.expect(route.scope)
        data = await read_body(route, headers, receive, self._services.limits)
        query = read_query(route.query, _without_empty(scope["query_string"]))
        body = None if route.body is None else _read_form(route.body, data)
        call: Call[Any, Any] = Call(
            self._services, caller, found.names, query, body, headers, random_hex(), stem
        )
        try:
            with self._services.requests.hold():
                async with asyncio.timeout(self._services.limits.answer_seconds):
                    work = self._answer(call, found, stem, form)
                    return await (until_gone(receive, work) if route.name == "sql" else work)
        except TimeoutError:
            seconds = self._services.limits.answer_seconds
            raise Refusal(503, f"no answer within {seconds:g} s") from None

    async def _answer(self, call: Call[Any, Any], found: Found, stem: str, form: str) -> Response:
        if form in MEDIA:
            download = DOWNLOADS.get(found.route.name)
            if download is None:
                raise Refusal(404, f"this view has no {form}")
            file: Response = await download(call, form)
            return file
        made: Any
        if found.route.name in ("sign_in", "sign_out"):
            made = await found.route.handler((call, self._sessions))
        else:
            made = await found.route.handler(call)
        if isinstance(made, Response):
            return made
        if isinstance(made, Elsewhere):
            headers = {"Location": str(made.address)}
            if made.cookie is not None:
                headers["Set-Cookie"] = made.cookie
            return Response(status_code=303, headers=headers)
        assert isinstance(made, View)
        if form == "json":
            return Response(to_json(made.facts), made.status, media_type="application/json")
        around = await frame(call, stem)
        return _html(made, around)

    def _refused(
        self, refusal: Refusal, headers: Mapping[str, str], asked: Address, form: str
    ) -> Response:
        request_id = random_hex()
        if form or "application/json" in headers.get("accept", ""):
            return problem(refusal, request_id, native=True)
        if refusal.status == 401:
            view = View("login.html", "Key", {}, {"next": str(asked), "wrong": None}, 401)
        else:
            phrase = HTTPStatus(refusal.status).phrase
            drawn = {"phrase": phrase, "said": refusal.detail, "status": refusal.status}
            view = View("error.html", phrase, {}, {**drawn, "request_id": request_id})
            view = View(view.template, view.title, {}, view.drawn, refusal.status)
        response = _html(view, {"alone": True, "here": asked, "nav": (), "as_of": None})
        for name, value in refusal.headers.items():
            # A browser would open a window of its own for a password.
            if name.lower() != "www-authenticate":
                response.headers[name] = value
        return response


def _html(view: View, around: Mapping[str, Any]) -> Response:
    template = environment().get_template(view.template)
    page = template.render(**{**around, **view.facts, **view.drawn}, title=view.title)
    return HTMLResponse(page, view.status)


def _form(path: str) -> tuple[str, str]:
    """Return the path of the view and the form in which it is asked for; HTML is empty."""
    if path.startswith("/static/"):
        return path, ""
    stem, mark, form = path.rpartition(".")
    if mark and form in ("json", *MEDIA):
        return stem, form
    return path, ""


def _without_empty(query: bytes) -> bytes:
    """Return a query without the fields of a form that were left empty."""
    return b"&".join(
        pair for pair in query.split(b"&") if pair.partition(b"=")[2] or b"=" not in pair
    )


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a query that no view has read."""
    return parse_qsl(query.decode("ascii", "replace"), errors="replace")[:100]


def _read_form(model: type[BaseModel], data: bytes) -> BaseModel:
    try:
        pairs = parse_qsl(data.decode("ascii"), errors="strict", max_num_fields=100)
    except ValueError as e:
        raise Refusal(400, f"form: expected names and values in UTF-8: {e}") from None
    return read_model(model, dict(pairs))


def _expect_origin(headers: Mapping[str, str]) -> None:
    """Raise Refusal unless a browser says whose form this is; the server has checked that it is
    ours."""
    if "origin" not in headers:
        raise Refusal(403, "origin: expected our own, found none")
