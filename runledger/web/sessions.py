"""Sessions: an opaque cookie of a browser stands for the key that was given to it."""

import secrets
import time
from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final, NamedTuple

from runledger.server.authentication import Authentication
from runledger.server.caller import Caller

SECONDS: Final = 12 * 3600.0
MOST: Final = 1_000


class _Session(NamedTuple):
    key: str
    until: float


class Sessions:
    """Of one process: after a restart a browser asks for the key again.

    The key stays here and is looked up with every request, so that a session ends when its key is
    revoked. Of a cookie only the hash is kept.
    """

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication
        self._open: dict[str, _Session] = {}

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return who asks: by Authorization if it is there, else by the cookie.

        Raises Refusal with status 401.
        """
        if "authorization" in headers:
            return await self._authentication.caller(headers)
        session = self._open.get(_digest(_cookie(headers)))
        if session is None or session.until < time.monotonic():
            return await self._authentication.caller({})
        return await self._authentication.caller(_as_header(session.key))

    async def begin(self, key: str, headers: Mapping[str, str]) -> str:
        """Return the Set-Cookie of a new session; Refusal with status 401 for a wrong key."""
        await self._authentication.caller(_as_header(key))
        now = time.monotonic()
        self._open = {kept: one for kept, one in self._open.items() if one.until > now}
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        value = secrets.token_urlsafe(32)
        self._open[_digest(value)] = _Session(key, now + SECONDS)
        return f"{_name(headers)}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SECONDS:.0f}"

    def end(self, headers: Mapping[str, str]) -> str:
        """Forget a session; return the Set-Cookie that takes the cookie away."""
        self._open.pop(_digest(_cookie(headers)), None)
        return f"{_name(headers)}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"


def _as_header(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _name(headers: Mapping[str, str]) -> str:
    # Cookies do not know ports: two servers of one machine would take each other's.
    port = headers.get("host", "").rpartition(":")[2]
    return f"runledger-{port if port.isdecimal() else '80'}"


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_name(headers))
    except CookieError:
        return ""
    return found.value if found else ""


def _digest(value: str) -> str:
    return sha256(value.encode()).hexdigest()
