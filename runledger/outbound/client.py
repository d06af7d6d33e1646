"""The guarded HTTP client: resolves once, checks every address, connects only to a checked address.

No redirect is followed, no proxy or environment setting is read, no cookie is kept, nothing is
decompressed, and no connection is used twice.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Self, cast

from runledger.errors import AddressRefused, OutboundError, OutboundFailed
from runledger.outbound.addresses import AddressPolicy, IPAddress
from runledger.outbound.urls import check_url

if TYPE_CHECKING:
    import httpx

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host and port, as text; OSError if there are none."""

_TRIED: Final = 4  # addresses, of those checked: a name may have hundreds


@dataclass(frozen=True, slots=True)
class Response:
    """The response: status, headers (names in lower case), and the first bytes of the body.

    `incomplete` says why the body is incomplete (size limit, reset, timeout); None if it is
    complete.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    incomplete: str | None
    address: str


class GuardedClient:
    """Sends single requests to untrusted addresses. Use it from one event loop."""

    def __init__(
        self, *, resolver: Resolver | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._resolver = resolver or self._system_resolver
        self._ssl_context = ssl_context

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client; it must not be used afterwards."""
        if "_transport" in self.__dict__:
            await self._transport.aclose()
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(
        self,
        url: str,
        *,
        policy: AddressPolicy,
        timeout: float,
        max_response_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a GET request; see `request`."""
        return await self.request(
            "GET",
            url,
            headers=headers,
            policy=policy,
            timeout=timeout,
            max_response_bytes=max_response_bytes,
        )

    async def post(
        self,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str],
        policy: AddressPolicy,
        timeout: float,
        max_response_bytes: int,
    ) -> Response:
        """Send a POST request; see `request`."""
        return await self.request(
            "POST",
            url,
            content=content,
            headers=headers,
            policy=policy,
            timeout=timeout,
            max_response_bytes=max_response_bytes,
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        policy: AddressPolicy,
        timeout: float,
        max_response_bytes: int,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request within `timeout` seconds, resolution and body included.

        Once a status line is received, a Response is returned, even if its body is incomplete.

        Raises:
            UrlRefused: if the URL is refused, before anything is sent.
            AddressRefused: if an address is refused, before anything is sent.
            OutboundFailed: if no status line is received.
        """
        import httpx

        parsed = check_url(url, policy)
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            request = httpx.Request(
                method,
                parsed,
                content=content,
                headers={
                    "user-agent": "runledger",
                    "accept": "*/*",
                    **(headers or {}),
                    "accept-encoding": "identity",
                    "connection": "close",
                },
            )
            async with asyncio.timeout_at(deadline):
                addresses = await self._checked_addresses(url, parsed, policy)
                response, address = await self._connect_and_send(request, addresses, timeout)
        except TimeoutError:
            raise OutboundFailed(url, f"no answer within {timeout:.3g} s") from None
        except OutboundError:
            raise
        except Exception as error:
            # Besides httpx's errors, those of ssl, idna and h11 about a name or an answer.
            raise OutboundFailed(url, _cause(error)) from error
        body = bytearray()
        incomplete = None
        try:
            async with (
                asyncio.timeout_at(deadline),
                # The raw stream is read: a highly compressed body is not expanded.
                aclosing(cast("Any", response.aiter_raw())) as chunks,
            ):
                async for chunk in chunks:
                    body += chunk[: max_response_bytes - len(body) + 1]
                    if len(body) > max_response_bytes:
                        incomplete = f"more than {max_response_bytes} bytes"
                        break
        except TimeoutError:
            incomplete = f"not whole within {timeout:.3g} s"
        except Exception as error:
            incomplete = _cause(error)
        finally:
            await response.aclose()
        return Response(
            status_code=response.status_code,
            headers=dict(response.headers),
            body=bytes(body[:max_response_bytes]),
            incomplete=incomplete,
            address=address,
        )

    async def _checked_addresses(
        self, url: str, parsed: "httpx.URL", policy: AddressPolicy
    ) -> list[str]:
        host = parsed.raw_host.decode("ascii").replace("%25", "%", 1)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        try:
            answers = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise OutboundFailed(url, f"{host!r} resolves to nothing: {error}") from error
        addresses: list[IPAddress] = [ip_address(answer) for answer in answers]
        if not addresses:
            raise OutboundFailed(url, f"{host!r} resolves to nothing")
        # All must pass: a name with one public and one private address is an attack or a mistake.
        for address in addresses:
            reason = policy.refusal(host, address)
            if reason is not None:
                raise AddressRefused(
                    url, f"expected public addresses only, found {address}: {reason}"
                )
        return list(dict.fromkeys(str(address) for address in addresses))[:_TRIED]

    async def _connect_and_send(
        self, request: "httpx.Request", addresses: Sequence[str], timeout: float
    ) -> tuple["httpx.Response", str]:
        import httpx

        named = request.url
        request.extensions = {
            # One unreachable address must leave time for the next.
            "timeout": {"connect": timeout / len(addresses)},
            # Certificates and servers do not use the final dot of a fully qualified name (RFC 6066,
            # 3).
            "sni_hostname": named.raw_host.decode("ascii").rstrip("."),
        }
        for address in addresses[:-1]:
            request.url = named.copy_with(host=address)
            try:
                return await self._transport.handle_async_request(request), address
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent, so nothing can arrive twice
        request.url = named.copy_with(host=addresses[-1])
        return await self._transport.handle_async_request(request), addresses[-1]

    @cached_property
    def _transport(self) -> "httpx.AsyncHTTPTransport":
        import httpx

        # A pooled connection would be reused by its address only: with the certificate of another
        # name, or under a stricter policy than the one it was opened with.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.AsyncHTTPTransport(
            verify=self._ssl_context or True, trust_env=False, limits=limits, retries=0
        )

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        # A separate thread pool: a dead name server blocks a thread for half a minute, and the
        # loop's default pool also serves the rest of the program.
        return ThreadPoolExecutor(max_workers=32, thread_name_prefix="runledger-resolve")

    async def _system_resolver(self, host: str, port: int) -> list[str]:
        def ask() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(answer[4][0]) for answer in found]

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)


def _cause(error: BaseException) -> str:
    """Return the innermost cause: the outer exceptions say only that a connection failed."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return f"{type(error).__name__}: {root}" if str(root) else type(error).__name__
