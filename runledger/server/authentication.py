"""The caller of a request: the key that it carries, looked up among those of the store."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, cast

from runledger.run import Actor
from runledger.server.caller import EVERY_ORGANIZATION, Caller
from runledger.server.keys import Key, Keyring, matching
from runledger.server.refusal import Refusal
from runledger.server.route import Scope
from runledger.store import Store

ORGANIZATION: Final = "runledger-organization"
"""The header in which the key of all organizations names the one that it acts for."""
FRESH_SECONDS: Final = 1.0
"""How long a server goes by the keys that it read; so long may one be used after it was revoked."""


class Authentication:
    """Takes the place of passwords: a store without keys is open to its own machine alone."""

    def __init__(self, store: Store, actor: Actor) -> None:
        self._keyring = Keyring(store)
        self._actor = actor
        self._keys: list[Key] = []
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def keys(self) -> list[Key]:
        """Return the keys of the store, read a second ago at most."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            async with self._reading:
                if time.monotonic() - self._read_at > FRESH_SECONDS:
                    self._keys = await asyncio.to_thread(self._keyring.keys)
                    self._read_at = time.monotonic()
        return self._keys

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller of a request with these headers; raise Refusal with status 401.

        A header names another organization than the key's own: for a key of all organizations, and
        on a server without keys. Any other key is refused it (403); the user is always the key's.

        If the store has no keys, Authorization is not looked at: users of the official client have
        one set. A store whose keys are all revoked still asks for one.
        """
        keys = await self.keys()
        if not keys:
            return _acting(Caller(self._actor), headers)
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = matching(keys, given.strip(), datetime.now(UTC)) if kind.lower() == "bearer" else None
        if key is None:
            raise Refusal(
                401,
                "expected a key of this server as `Authorization: Bearer rlk_…`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        every = key.organization == EVERY_ORGANIZATION
        caller = Caller(
            Actor(self._actor.organization if every else key.organization, key.name),
            key.key_id,
            frozenset(cast("tuple[Scope, ...]", key.scopes)),
            every,
        )
        return _acting(caller, headers)


def _acting(caller: Caller, headers: Mapping[str, str]) -> Caller:
    named = headers.get(ORGANIZATION)
    if named is None or named == caller.actor.organization:
        return caller
    caller.expect_every_organization(f"{ORGANIZATION} of another organization")
    return replace(caller, actor=Actor(named, caller.actor.user))
