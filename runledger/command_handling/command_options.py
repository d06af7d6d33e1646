"""The options that every command takes beside its own facts."""

from datetime import datetime
from typing import TypedDict

from runledger.run import Actor


class CommandOptions(TypedDict, total=False):
    """How a command is executed.

    `actor` acts instead of the ledger's own actor. `expected_version` is the version that the run
    must have (RunRecord.version), or VersionConflict is raised and nothing is recorded; a command
    that repeats what is recorded changes nothing at any version. `idempotency_key` (1 to 255
    printable ASCII characters) makes the command happen once: repeated with the same key and
    content, it changes nothing, whatever happened meanwhile. Ids that were not given are derived
    from the key. Other content with the same key raises IdempotencyKeyReused.
    """

    actor: Actor | None
    expected_version: int | None
    idempotency_key: str | None


class TimedOptions(CommandOptions, total=False):
    """The options of a command that may be recorded later than it happened.

    `at` is the time when it happened, with a time zone; now by default.
    """

    at: datetime | None
