"""Keeps pages of other sites out: a browser of ours can be made to send requests here.

A name of another site may lead to our address (DNS rebinding): the Host tells. A page of another
site may post a form or load an image from here: Origin and Sec-Fetch-Site tell.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from runledger.server.refusal import Refusal

_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
_SAME: Final = (None, "same-origin", "none")
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class BrowserRules:
    """`hosts` may be named beside the local ones, with a port or without (then any); `origins` are
    whole (`https://ledger.example`); `ports` are those that the server listens on."""

    ports: Collection[int]
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, headers: Headers, *, page: bool) -> None:
        """Raise Refusal: 400 unless there is one Host, 421 for a Host, 403 for a site not ours.

        A `page` may be come to by a link from anywhere, as long as it is a navigation of the whole
        window.
        """
        hosts = _all(headers, b"host")
        if len(hosts) != 1:
            raise Refusal(400, f"host: expected it once, found it {len(hosts)} times", close=True)
        if not self.knows(hosts[0]):
            raise Refusal(
                421, f"host: expected localhost or one of --allowed-host, found {hosts[0]!r:.80}"
            )
        origins = _all(headers, b"origin")
        if any(origin in self.origins for origin in origins[:1]) and len(origins) == 1:
            return
        if any(not self._ours(origin, hosts[0]) for origin in origins):
            raise Refusal(403, f"origin: expected our own, found {origins[0]!r:.80}")
        site = _one(headers, b"sec-fetch-site")
        if site in _SAME or (page and _navigates(headers)):
            return
        raise Refusal(
            403, f"sec-fetch-site: expected a request of our own pages, found {site!r:.80}"
        )

    def knows(self, host: str) -> bool:
        """Whether a Host is one of ours."""
        host = host.lower()
        if host in self.hosts:
            return True
        name, mark, port = host.rpartition(":")
        if not mark or host.endswith("]"):
            name, port = host, "80"
        if name in self.hosts:
            return True
        return name in _LOCAL and port.isdecimal() and int(port) in self.ports

    def _ours(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _navigates(headers: Headers) -> bool:
    modes = _one(headers, b"sec-fetch-mode"), _one(headers, b"sec-fetch-dest")
    return modes == ("navigate", "document")


def _all(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for given, value in headers if given == name]


def _one(headers: Headers, name: bytes) -> str | None:
    found = _all(headers, name)
    return ", ".join(found) if found else None
