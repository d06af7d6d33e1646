"""The commands that create a run and change it to the requested status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from runledger.arguments import check_flags
from runledger.errors import InvalidArgument
from runledger.ledger.field_update import ENDS, status_for, transition
from runledger.outbound import AddressPolicy, check_url
from runledger.run import RunStatus, commands
from runledger.run.commands import Command


class Creation(NamedTuple):
    """Commands, and a time for each if the end has a separate time, otherwise no times."""

    commands: tuple[Command, ...]
    times: tuple[datetime, ...]


def creation(
    policy: AddressPolicy,
    agent_id: str,
    *,
    project_id: str | None = None,
    conversation_id: str | None = None,
    hold_conversation: bool = False,
    base_template_id: str | None = None,
    background: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
    request_config: Mapping[str, Any] | None = None,
    callback_url: str | None = None,
    status: str | None = None,
    stop_reason: str | None = None,
    completed_at: datetime | None = None,
    run_ns: int | None = None,
    exist_ok: bool = True,
    at: datetime | None = None,
) -> Creation:
    """Return the commands of a creation; the facts are those of LedgerCommands.create_run.

    Parameters:
        policy: the addresses that a callback may go to.

    Raises:
        InvalidArgument: for facts that contradict each other.
        UrlRefused: for a callback_url that could never be called.
    """
    check_flags(exist_ok=exist_ok)
    if callback_url is not None:
        check_url(callback_url, policy)
    create = commands.CreateRun(
        agent_id,
        project_id,
        conversation_id,
        hold_conversation,
        base_template_id,
        background,
        metadata or {},
        request_config,
        callback_url,
        exist_ok,
    )
    asked = status_for(status, stop_reason) or RunStatus.CREATED
    if run_ns is not None and asked not in ENDS:
        raise InvalidArgument(
            f"create_run: run_ns needs a status that is an end, found {asked.value!r}"
        )
    times: tuple[datetime, ...] = ()
    if completed_at is not None:
        if asked not in ENDS or at is None:
            raise InvalidArgument(
                f"create_run: completed_at needs a status that is an end, and `at`; "
                f"found {asked.value!r} at {at!r}"
            )
        times = (at, completed_at)
    then = transition(asked, stop_reason, run_ns=run_ns, measured=bool(times))
    return Creation((create, *then), times)
