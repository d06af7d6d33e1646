"""Requests to a server: repeated until there is an answer, each command with one key."""

import asyncio
import copy
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from typing import Any, Final, Self, TypeVar, Unpack

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from runledger.arguments import check_actor
from runledger.command_handling.command_options import CommandOptions
from runledger.errors import InvalidArgument, LedgerError, StoreUnavailable, describe
from runledger.ids import random_hex
from runledger.remote.problems import error_of
from runledger.run import Actor
from runledger.run.receipts import check_key
from runledger.storable import storable

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_T = TypeVar("_T")


ORGANIZATION: Final = "Runledger-Organization"
"""The header in which the key of all organizations names the one that it acts for."""


def acting_headers(actor: Actor | None) -> dict[str, str]:
    """Return the headers of a request for an actor; InvalidArgument for one that names a user."""
    check_actor(actor)
    if actor is None:
        return {}
    if actor.user is not None:
        raise InvalidArgument(
            "actor: expected an organization alone, as the server knows by the key which user "
            "acts; found a user as well: open a ledger with the key of that user"
        )
    return {ORGANIZATION: actor.organization}


class ConnectionLost(Exception):
    """A stream was cut, or could not begin."""


class Patience:
    """The pauses between attempts: they grow, and end when `seconds` are over.

    Parameters:
        url: the server's address, for the error.
        seconds: how long from the last success on there are attempts.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self.begin()

    def begin(self) -> None:
        """Begin anew: something was answered."""
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        self._pause = _FIRST_PAUSE

    async def wait(self, reason: str, at_least: float = 0.0) -> None:
        """Wait for the next attempt; StoreUnavailable, with the reason, if there is none."""
        pause = max(self._pause, at_least)
        if asyncio.get_running_loop().time() + pause > self._deadline:
            # A command was recorded whole or not at all; with its key it happens once.
            raise StoreUnavailable(
                f"server {self._url!r}: expected an answer within {self._seconds:g} s, found "
                f"{reason}"
            )
        await asyncio.sleep(pause)
        self._pause = min(pause * 2, _LONGEST_PAUSE)


class Connection:
    """A client of one server, for one event loop.

    Parameters:
        url: the server's address, such as http://localhost:8283.
        api_key: the key that the server knows; None for a server without keys.
        retry_for: seconds for which a request without an answer is repeated.
        actor: acts if a call names no other; the organization of the key without.
    """

    def __init__(
        self, url: str, api_key: str | None, retry_for: float, actor: Actor | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.retry_for = retry_for
        self._acting = acting_headers(actor)
        headers = {"Accept": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as e:
            raise InvalidArgument(f"store {url!r:.200}: {e}") from e
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=64, keepalive_expiry=30),
            # A proxy of the environment is for other machines.
            trust_env=not _is_here(address.host),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    def as_actor(self, actor: Actor) -> Self:
        """Return the same connections for another actor."""
        other = copy.copy(self)
        other._acting = acting_headers(actor)
        return other

    async def ask(
        self, path: str, answer: TypeAdapter[_T], *, actor: Actor | None = None, **query: Any
    ) -> _T:
        """Return the answer to a question.

        Parameters:
            path: the route beneath /api/v1.
            answer: the type of the answer.
            actor: acts instead of the connection's own.
            query: parameters; those that are None are left out.
        """
        headers = acting_headers(actor)
        return await self._answer("GET", path, answer, query=query, headers=headers)

    async def search(
        self,
        path: str,
        answer: TypeAdapter[_T],
        body: Mapping[str, Any],
        *,
        actor: Actor | None = None,
    ) -> _T:
        """Return the answer to a question that is too long for an address."""
        headers = acting_headers(actor)
        return await self._answer("POST", path, answer, body=body, headers=headers)

    async def command(
        self,
        method: str,
        path: str,
        answer: TypeAdapter[_T],
        body: Mapping[str, Any] | None = None,
        **options: Unpack[CommandOptions],
    ) -> _T:
        """Send a command until it is answered; it happens once.

        Parameters:
            method: POST, PUT, PATCH or DELETE.
            path: the route beneath /api/v1.
            answer: the type of the answer.
            body: the arguments.
            options: as in CommandOptions; a fresh key without one.
        """
        key, version = options.get("idempotency_key"), options.get("expected_version")
        headers = acting_headers(options.get("actor"))
        headers["Idempotency-Key"] = random_hex() if key is None else check_key(key)
        if version is not None:
            headers["If-Match"] = f'"{_version(version)}"'
        return await self._answer(method, path, answer, body=body, headers=headers)

    async def batch(self, lines: bytes, answer: TypeAdapter[_T], path: str = "batches") -> _T:
        """Send lines until they are answered; they happen once. The answer tells of each line."""
        request = self._client.build_request(
            "POST",
            f"/api/v1/{path}",
            content=lines,
            headers={
                **self._acting,
                "Content-Type": "application/x-ndjson",
                "Idempotency-Key": random_hex(),
            },
        )
        response = await self._until_answered(request)
        # Refused lines are a status 422 with the results of all.
        if response.is_success or response.status_code == 422:
            with suppress(ValidationError):
                return answer.validate_json(response.content)
        raise error_of(response)

    @staticmethod
    def json(body: Mapping[str, Any]) -> bytes:
        """Return a body as JSON, on one line; InvalidArgument for what JSON cannot hold."""
        return _json(body)

    def patience(self) -> Patience:
        """Return the pauses between attempts, from now on."""
        return Patience(self.url, self.retry_for)

    @asynccontextmanager
    async def lines(
        self, path: str, *, actor: Actor | None = None, **query: Any
    ) -> AsyncIterator[AsyncIterator[str] | None]:
        """Give the lines of a stream as they come, or None if there is nothing more.

        Raises ConnectionLost if it cannot begin or is cut.
        """
        async with self._streamed(path, "application/x-ndjson", actor, query) as response:
            yield None if response.status_code == 204 else _lines(response)

    @asynccontextmanager
    async def pieces(self, path: str, **query: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the body of an answer as it comes; ConnectionLost if it is cut."""
        async with self._streamed(path, "*/*", None, query) as response:
            yield response.aiter_bytes()

    @asynccontextmanager
    async def _streamed(
        self, path: str, accept: str, actor: Actor | None, query: Mapping[str, Any]
    ) -> AsyncIterator[httpx.Response]:
        request = self._client.build_request(
            "GET",
            f"/api/v1/{path}",
            params=_parameters(query),
            headers={**self._acting, **acting_headers(actor), "Accept": accept},
            # The server sends something every few seconds.
            timeout=_TIMEOUT,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError as e:
            raise ConnectionLost(_told(e)) from e
        try:
            if not response.is_success:
                await response.aread()
                if response.status_code in _AGAIN:
                    raise ConnectionLost(str(error_of(response)))
                raise error_of(response)
            yield response
        except httpx.TransportError as e:
            raise ConnectionLost(_told(e)) from e
        finally:
            await response.aclose()

    async def _answer(
        self,
        method: str,
        path: str,
        answer: TypeAdapter[_T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        request = self._client.build_request(
            method,
            f"/api/v1/{path}",
            params=_parameters(query or {}),
            content=None if body is None else _json(body),
            headers={**self._acting, **(headers or {}), **({} if body is None else _JSON_BODY)},
        )
        response = await self._until_answered(request)
        if not response.is_success:
            raise error_of(response)
        try:
            return answer.validate_json(response.content)
        except ValidationError as e:
            raise LedgerError(
                f"server {self.url!r}: expected the answer of {method} {path}, found another: "
                f"{describe(e)}"
            ) from e

    async def _until_answered(self, request: httpx.Request) -> httpx.Response:
        patience = self.patience()
        while True:
            try:
                response = await self._client.send(request)
            except httpx.TransportError as e:
                await patience.wait(_told(e))
                continue
            # Some work would only fail again, such as a statement that took too long.
            final = response.headers.get("x-should-retry") == "false"
            if response.status_code not in _AGAIN or final:
                return response
            await patience.wait(str(error_of(response)), _retry_after(response))


_JSON_BODY: Final = {"Content-Type": "application/json"}


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        yield line


def _told(error: httpx.TransportError) -> str:
    return f"{type(error).__name__} {error}".strip()


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(storable(dict(body)), inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as e:
        raise InvalidArgument(f"expected what JSON can hold, found {e!s:.200}") from e


def _parameters(query: Mapping[str, Any]) -> dict[str, list[str]]:
    lists = {
        name: list(value) if isinstance(value, list | tuple) else [value]
        for name, value in query.items()
        if value is not None
    }
    return {name: [_text(one) for one in values] for name, values in lists.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _version(expected: int) -> int:
    if isinstance(expected, bool) or not isinstance(expected, int) or not 1 <= expected < 10**18:
        raise InvalidArgument(f"expected_version: expected 1 or more, found {expected!r:.80}")
    return expected


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else 0.0
