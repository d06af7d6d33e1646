"""Every event of a run, and every command, has all of its places; see CONTRIBUTING.md."""

import inspect
from typing import get_args

from runledger.events import CATALOGUE, Event, RunEvent
from runledger.run import commands as c
from runledger.run import decisions, state
from runledger.run.transitions import TRANSITIONS
from tests.projections import moves

# They are recorded beside the histories of the laws, which would seldom get there.
ELSEWHERE = {c.RequestCallback}


def _with_a_topic(of: type[Event]) -> set[type[Event]]:
    below = of.__subclasses__()
    own = {event for event in below if "topic" in vars(event)}
    return own.union(*(_with_a_topic(event) for event in below))


def test_every_event_is_in_the_catalogue() -> None:
    ours = {event for event in _with_a_topic(Event) if event.__module__ == "runledger.events"}
    assert set(CATALOGUE.values()) == ours


def test_every_event_of_a_run_has_a_transition_and_a_fold() -> None:
    of_a_run = {event for event in CATALOGUE.values() if issubclass(event, RunEvent)}
    assert TRANSITIONS.keys() == of_a_run
    assert state._FOLDS.keys() == of_a_run


def test_every_command_has_a_decision() -> None:
    classes = inspect.getmembers(c, inspect.isclass)
    defined = {command for _, command in classes if command.__module__ == c.__name__}
    assert set(get_args(c.Command)) == defined
    assert decisions._DECISIONS.keys() | {c.CreateRun} == defined


def test_every_command_is_played_in_the_histories_of_the_laws() -> None:
    source = inspect.getsource(moves)
    missing = {
        command.__name__
        for command in get_args(c.Command)
        if command not in ELSEWHERE and f"c.{command.__name__}" not in source
    }
    assert missing == set()
