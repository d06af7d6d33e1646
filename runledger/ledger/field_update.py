"""Translates a status, a stop reason and times into commands, for creations and updates."""

from runledger.errors import InvalidArgument
from runledger.run import RunStatus, commands, status_of

ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


def status_for(status: str | None, stop_reason: str | None) -> RunStatus | None:
    """Return the requested status; a stop reason alone determines it, None requests no change.

    Raises:
        InvalidArgument: for unknown values, or for two that contradict each other.
    """
    try:
        asked = None if status is None else RunStatus(status)
    except ValueError:
        raise InvalidArgument(
            f"status: expected one of {', '.join(RunStatus)}, found {status!r:.80}"
        ) from None
    if stop_reason is None:
        return asked
    try:
        meant = status_of(stop_reason)
    except (KeyError, TypeError):
        raise InvalidArgument(f"stop_reason: no such stop reason {stop_reason!r:.80}") from None
    if asked is not None and asked is not meant:
        raise InvalidArgument(
            f"status: stop_reason {stop_reason!r} means {meant.value!r}, found {asked.value!r}"
        )
    return meant


def transition(
    status: RunStatus,
    stop_reason: str | None,
    *,
    run_ns: int | None = None,
    measured: bool = True,
    error_type: str | None = None,
    error_message: str | None = None,
) -> list[commands.Command]:
    """Return the commands that lead to a status; the stop reason matches it or is None."""
    match status:
        case RunStatus.CREATED:
            return []
        case RunStatus.RUNNING:
            return [commands.StartRun()]
        case RunStatus.COMPLETED:
            return [commands.CompleteRun(stop_reason, run_ns, measured)]
        case RunStatus.FAILED:
            return [
                commands.FailRun(
                    stop_reason,
                    error_type,
                    error_message,
                    run_ns=run_ns,
                    measured=measured,
                )
            ]
        case RunStatus.CANCELLED:
            return [commands.CancelRun(run_ns=run_ns, measured=measured, strict=True)]
