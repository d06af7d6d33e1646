"""What every command takes beside its own facts: one list, for all of them."""

from datetime import datetime
from typing import TypedDict

from runledger.run import Actor


class CommandOptions(TypedDict, total=False):
    """How a command is executed.

    `actor` acts in the place of the ledger's own actor. `expected_version` is the version that the
    run must have (RunRecord.version), or VersionConflict is raised and nothing is recorded; a
    command that repeats what is recorded changes nothing at any version. `idempotency_key` (1 to
    255 printable ASCII characters) makes the command happen once: given again with the same key and
    content, it changes nothing, whatever happened meanwhile; ids that were not given follow from
    the key. Other content with the same key is IdempotencyKeyReused.
    """

    actor: Actor | None
    expected_version: int | None
    idempotency_key: str | None


class TimedOptions(CommandOptions, total=False):
    """How a command is executed that may be recorded later than it happened.

    `at` is when it happened, with a time zone; without, it is now.
    """

    at: datetime | None
