"""The caller of a request, and what its key allows."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from runledger.run import Actor
from runledger.server.refusal import Refusal
from runledger.server.route import SCOPES, Scope

EVERY_ORGANIZATION: Final = "*"
"""The organization of an operator's key."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor of everything that a request does; no header can change it.

    `key_id` is None on a server without keys. `every_organization` is true of an operator's key,
    and on a server without keys, whose user may read the files anyway.
    """

    actor: Actor
    key_id: str | None = None
    scopes: Set[Scope] = frozenset(SCOPES)
    every_organization: bool = True

    def expect(self, scope: Scope) -> None:
        """Raise Refusal with status 403 if the key does not allow this."""
        if scope not in self.scopes:
            raise Refusal(403, f"expected a key with the scope {scope}", code="missing-scope")

    def expect_every_organization(self, what: str) -> None:
        """Raise Refusal with status 403 for the key of one organization."""
        if not self.every_organization:
            raise Refusal(
                403,
                f"{what} is about all organizations: expected a key made with --organization '*'",
                code="missing-scope",
            )
