"""The errors of the replaced server, with their names there; each is also one of the ledger's."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from runledger import errors


class ErrorCode(StrEnum):
    """The kind of an error."""

    CONFLICT = "CONFLICT"
    CONVERSATION_BUSY = "CONVERSATION_BUSY"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"


class LettaError(Exception):
    """The base of the replaced server's errors: a message, a code, details."""

    def __init__(
        self, message: str, code: ErrorCode | None = None, details: dict[str, Any] | None = None
    ) -> None:
        self.message, self.code, self.details = message, code, details or {}
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return f"{self.code.value}: {self.message}" if self.code else self.message


class LettaInvalidArgumentError(LettaError, errors.InvalidArgument):
    """An argument has an invalid value; nothing was written."""

    def __init__(self, message: str, argument_name: str | None = None) -> None:
        details = {"argument_name": argument_name} if argument_name else {}
        super().__init__(message, ErrorCode.INVALID_ARGUMENT, details)


class LettaAgentNotFoundError(LettaError, errors.LedgerError, LookupError):
    """The agent does not exist, or belongs to another organization."""


class NoResultFound(errors.NotFound):
    """The requested object does not exist, or belongs to another organization."""


class UniqueConstraintViolationError(errors.ContentConflict):
    """The id is in use already."""


class ConversationBusyError(LettaError, errors.Conflict):
    """Another run holds the conversation."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise the ledger's errors with their old names.

    Other errors, such as AlreadyEnded, have no old name, because the old server did not refuse
    these cases.
    """
    try:
        yield
    except errors.InvalidId as e:
        plain = isinstance(e.value, str) and e.value.isprintable()
        found = e.value if plain else repr(e.value)
        message = f"Invalid {e.kind} ID format: {found:.80}. Expected format: '{e.expected}'"
        raise LettaInvalidArgumentError(message, f"{e.kind}_id") from e
    except errors.InvalidArgument as e:
        if isinstance(e, LettaError):
            raise
        raise LettaInvalidArgumentError(str(e)) from e
    except errors.NotFound as e:
        if e.kind == "agent":
            raise LettaAgentNotFoundError(f"Agent {e.id} not found", ErrorCode.NOT_FOUND) from e
        raise NoResultFound(e.kind.capitalize(), e.id) from e
    except errors.ConversationBusy as e:
        raise ConversationBusyError(str(e), ErrorCode.CONVERSATION_BUSY) from e
    except errors.ContentConflict as e:
        raise UniqueConstraintViolationError(e.kind, e.id) from e
