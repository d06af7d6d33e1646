"""Every error that the ledger raises on purpose: where, what was expected, what was found."""

from typing import Any, Final, Self


class LedgerError(Exception):
    """An operation that the ledger refuses or cannot do; the base of all of its errors."""


class InvalidArgument(LedgerError, ValueError):
    """An argument has an invalid value; nothing was written."""


class InvalidExpression(InvalidArgument):
    """A filter expression is not in the language, or is too large; nothing was read.

    `column` counts characters from 1 and is None if the whole expression is meant. The message ends
    with the part of the expression that is at fault, and a caret below it.
    """

    def __init__(self, reason: str, expression: str = "", column: int | None = None) -> None:
        self.reason, self.expression, self.column = reason, expression, column
        at = "" if column is None else f", column {column}"
        super().__init__(f"where{at}: {reason}{_pointed(expression, column)}")


class InvalidId(InvalidArgument):
    """An identifier is malformed."""

    def __init__(self, kind: str, value: object, expected: str, names: str = "") -> None:
        self.kind, self.value, self.expected = kind, value, expected
        super().__init__(
            f"Invalid {kind} ID format: {_shown(value)}. Expected format: '{expected}'"
            + (f"; {names}" if names else "")
        )


class NotFound(LedgerError, LookupError):
    """The requested object does not exist, or belongs to another organization."""

    def __init__(self, kind: str, id: str, hint: str = "") -> None:
        self.kind, self.id = kind, id
        super().__init__(f"{kind} with id {id} not found" + (f": {hint}" if hint else ""))


class Conflict(LedgerError):
    """The command contradicts recorded events."""


class ContentConflict(Conflict):
    """The same id was recorded before with other content."""

    def __init__(self, kind: str, id: str, where: str = "") -> None:
        self.kind, self.id = kind, id
        at = f" in {where}" if where else ""
        super().__init__(
            f"{kind} {id!r}{at}: recorded before with other content; "
            f"expected the same content again or a fresh id"
        )


class IllegalTransition(Conflict):
    """The run's status does not allow the event."""

    def __init__(self, run_id: str, event: str, found: str, allowed: tuple[str, ...]) -> None:
        self.run_id, self.event, self.found, self.allowed = run_id, event, found, allowed
        super().__init__(
            f"run {run_id!r}: {event} is allowed when {' or '.join(allowed)}, found {found}"
        )


class AlreadyEnded(IllegalTransition):
    """The run has ended; the first end wins."""

    def __init__(
        self, run_id: str, event: str, found: str, allowed: tuple[str, ...], stop_reason: str | None
    ) -> None:
        super().__init__(run_id, event, found, allowed)
        self.status, self.stop_reason = found, stop_reason


class ConversationBusy(Conflict):
    """Another run holds the conversation."""

    def __init__(self, conversation_id: str, holder: str) -> None:
        self.conversation_id, self.holder = conversation_id, holder
        super().__init__(
            f"conversation {conversation_id!r}: expected no active run, found {holder!r} holding it"
        )


class VersionConflict(Conflict):
    """The run has another version than the command expects; nothing was recorded."""

    def __init__(self, run_id: str, expected: int, found: int) -> None:
        self.run_id, self.expected, self.found = run_id, expected, found
        super().__init__(
            f"run {run_id!r}: expected version {expected}, found {found}; read the run again"
        )


class IdempotencyKeyReused(Conflict):
    """The key was used before, in a request with other content or for another run."""

    def __init__(self, run_id: str, holder: str | None = None) -> None:
        self.run_id, self.holder = run_id, holder
        used = "with other content" if holder is None else f"for run {holder!r}"
        super().__init__(
            f"run {run_id!r}: the idempotency key was used before {used}; "
            f"expected the same request again or a fresh key"
        )


class ConcurrentAppend(Conflict):
    """Concurrent writers kept appending to the stream; every retry found a newer version."""

    def __init__(self, stream: str, expected: int, found: int) -> None:
        self.stream, self.expected, self.found = stream, expected, found
        super().__init__(f"stream {stream!r}: expected version {expected}, found {found}")


class StoreError(LedgerError):
    """The store cannot be used."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or does not answer in time; the append may be retried."""


class StoreBusy(StoreUnavailable):
    """Another connection holds a lock of the store for longer than the ledger waits: 30 seconds."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(
            f"store {url!r}: expected a lock within {seconds:g} s, found it held by another "
            f"connection; nothing was recorded, so try again once the backup, the maintenance or "
            f"the open transaction that holds it has ended"
        )


class StoreRefused(StoreError):
    """The database refused the append because of its content; a retry would fail again."""


class OnlyRead(StoreRefused):
    """The log is read-only (an archive, or a read-only location), and the operation would write."""

    def __init__(self, url: str, found: str = "an archive, which can only be read") -> None:
        super().__init__(f"store {url!r}: expected a store to write to, found {found}")


class StoreIsNewer(StoreError):
    """The store was written by a newer version of the ledger."""


class UnsafeSetting(StoreError):
    """A setting would lose events; the ledger refuses to start with it."""


class LogDiverged(StoreError):
    """The log holds other events than those that were read from it before.

    A backup of the store was restored, or a standby took over that lacked the last events. `common`
    is the last position that is known to be the same in both, None if another process detected it.
    """

    def __init__(self, said: str, common: int | None = None) -> None:
        self.common = common
        super().__init__(said)

    @classmethod
    def found(cls, where: str, common: int, remedy: str) -> Self:
        """Return the error for a place (`where`), with the remedy."""
        return cls(
            f"{where}: expected the log that was read before, found one that has the same events "
            f"up to position {common:,} and others, or none, after it, as after a restored backup "
            f"or a failover: {remedy}",
            common,
        )


class LogDamaged(StoreError):
    """Events are missing from the log that were recorded; nothing is projected beyond them."""


class ProofRefused(LedgerError):
    """A proof does not prove what it says: other bytes, another log, or an event missing."""


class UndecodableEvent(LedgerError):
    """A stored event is not in the catalogue, too new, or damaged; its content is never guessed."""

    def __init__(self, stream: str, version: int, topic: str, reason: str) -> None:
        self.stream, self.version, self.topic = stream, version, topic
        super().__init__(f"event {topic!r} at version {version} of {stream!r}: {reason}")


class AccessRefused(LedgerError):
    """The server of a remote ledger has no such key, or the key does not allow the request."""


class ReadModelsError(LedgerError):
    """The read models cannot be used."""


class ReadModelsLocked(ReadModelsError):
    """Another process, or another ledger in this process, has the read-models file open."""


class ReadModelsDamaged(ReadModelsError):
    """The read-models file cannot be used; `runledger replay --switch` replaces it."""


class NotReadModels(ReadModelsError):
    """The file has no read models and was not made by the ledger; it was left as it is."""


class ReadModelsDiverged(ReadModelsDamaged, LogDiverged):
    """The read models were made from events that the log no longer has."""


class ReadModelsMissing(ReadModelsError):
    """The ledger was opened without read models, and the query needs them."""


class ProjectionFailed(ReadModelsError):
    """A read model's SQL failed on a batch; the batch was rolled back."""


class ArchiveError(LedgerError):
    """The archive of a log cannot be read or continued."""


class ArchiveDamaged(ArchiveError):
    """A file of the archive is missing, or differs from the one that was written."""


class ImportFailed(LedgerError):
    """A file cannot be imported at all."""


class OutboundError(LedgerError):
    """A request to an external address was refused by the ledger, or got no answer."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"url {url[:200]!r}: {reason}")


class UrlRefused(OutboundError, InvalidArgument):
    """The ledger does not call this URL because of its scheme, length, credentials or host."""


class AddressRefused(UrlRefused):
    """The host is, or resolves to, an address that is not public; nothing was sent."""


class OutboundFailed(OutboundError):
    """The request got no status line: unknown name, no connection, reset, or timeout."""


class ImageRefused(InvalidArgument):
    """An image cannot be fetched, or the data is not an image; nothing was written."""

    def __init__(self, where: str, image: str, reason: str) -> None:
        self.where, self.image, self.reason = where, image, reason
        super().__init__(f"{where}: image {image[:200]!r}: {reason}")


def describe(error: Any) -> str:
    """Return one line with the faults of a pydantic ValidationError and their locations."""
    faults = error.errors(include_url=False)
    said = [
        f"{_place(fault['loc'])}: {fault['msg']} (found {_shown(fault['input'])})"
        for fault in faults[:_FAULTS]
    ]
    if len(faults) > _FAULTS:
        said.append(f"… and {len(faults) - _FAULTS} more")
    return "; ".join(said)


def _pointed(expression: str, column: int | None) -> str:
    """Return two lines: the expression near a column, and a caret below the column."""
    if column is None:
        return ""
    begin = max(0, column - 1 - _BESIDE)
    near = expression[begin : column - 1 + _BESIDE]
    shown = "".join(char if char.isprintable() else " " for char in near)
    return f"\n  {shown}\n  {' ' * (column - 1 - begin)}^"


_BESIDE: Final = 38
"""Characters of an expression on each side of a fault, so that a line fits on a terminal."""
_FAULTS: Final = 20
_PARTS: Final = 8


def _place(parts: tuple[int | str, ...]) -> str:
    # Keys may be arbitrarily long, and locations arbitrarily deep.
    shown = [f"{part:.80}" if isinstance(part, str) else str(part) for part in parts]
    if len(shown) > _PARTS:
        shown = [*shown[: _PARTS // 2], "…", *shown[-_PARTS // 2 :]]
    return ".".join(shown) or "value"


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} too deep or too long to be shown"
