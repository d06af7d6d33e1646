"""Checks of a URL without the network: scheme, length, credentials, host."""

import re
import socket
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

from runledger.errors import AddressRefused, UrlRefused
from runledger.outbound.addresses import AddressPolicy, IPAddress

if TYPE_CHECKING:
    import httpx

MAX_URL_LENGTH: Final = 2048
"""Characters; the practical limit of proxies and servers."""

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
"""A name that could resolve (RFC 1035, 2.3.4), also with underscores, which some names have."""


def check_url(url: str, policy: AddressPolicy) -> "httpx.URL":
    """Return the parsed URL if the policy could allow it; raise UrlRefused or AddressRefused.

    A host name passes here; its addresses are checked when it is called.
    """
    if not isinstance(url, str):
        raise UrlRefused(repr(url), f"expected text, found {type(url).__name__}")
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(url, f"expected {MAX_URL_LENGTH} characters at most, found {len(url)}")
    parsed = _parsed(url)
    schemes = ("https", "http") if policy.allow_http else ("https",)
    if parsed.scheme not in schemes:
        found = repr(parsed.scheme) if parsed.scheme else "none"
        raise UrlRefused(url, f"expected the scheme {' or '.join(schemes)}, found {found}")
    if parsed.userinfo:
        # The message must not contain a password, because it may be logged.
        raise UrlRefused(str(parsed.copy_with(userinfo=b"")), "expected no user or password")
    if not parsed.host:
        raise UrlRefused(url, "expected a host, found none")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise UrlRefused(url, f"expected a port of 1 to 65535, found {parsed.port}")
    name = parsed.raw_host.decode("ascii").rstrip(".")
    if ":" not in name and not _NAME.fullmatch(name):
        raise UrlRefused(url, f"expected a host name that could resolve, found {name!r:.80}")
    address = _literal(parsed.host)
    reason = None if address is None else policy.refusal(parsed.host, address)
    if reason is not None:
        raise AddressRefused(url, f"expected a public address, found {address}: {reason}")
    return parsed


def _parsed(url: str) -> "httpx.URL":
    import httpx  # takes a third of a second, so it is loaded only for calls

    try:
        parsed = httpx.URL(url)
        # The host is decoded when it is accessed, which may fail.
        assert isinstance(parsed.host, str)
    except Exception as error:
        # Three libraries process a URL, and each raises its own errors (idna's are UnicodeErrors,
        # httpx's are not ValueErrors): all of them mean that the URL is wrong.
        raise UrlRefused(url, f"not a url: {error or type(error).__name__}") from None
    return parsed


def _literal(host: str) -> IPAddress | None:
    """Return the address in a host, also written as 127.1, 0x7f.1, 0177.0.0.1 or 2130706433."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(name.replace("%25", "%", 1))
    except ValueError:
        pass
    try:
        # These are the rules by which the C library's resolver parses a number as an address.
        return IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None
