"""Every event in every state: taken, taken as late, passed over, or refused by name."""

import pytest
from histories_of_a_run import CREATE, PATHS, STEP, History, message

from runledger.errors import AlreadyEnded, ContentConflict, IllegalTransition
from runledger.events import CATALOGUE, RunEvent
from runledger.run import STATUS_OF, TRANSITIONS, RunStatus, status_of
from runledger.run import commands as c

ATTEMPT = c.RecordCallbackAttempt(
    {
        "webhook_id": "w",
        "attempt": 1,
        "url": "https://example.com/done",
        "status_code": 200,
        "delivered": True,
        "final": True,
    }
)
COMMANDS = {
    "run.started": c.StartRun(),
    "run.step_started": c.StartStep(STEP),
    "run.step_recorded": c.RecordStep(STEP),
    "run.messages_recorded": c.RecordMessages([message(1)]),
    "run.heartbeat_recorded": c.RecordHeartbeat(),
    "run.metadata_patched": c.PatchMetadata({"n": 2}),
    "run.feedback_recorded": c.RecordRunFeedback("positive"),
    "run.completed": c.CompleteRun("max_steps"),
    "run.failed": c.FailRun(error_type="other"),
    "run.cancelled": c.CancelRun(),
    "run.callback_requested": c.RequestCallback(),
    "run.callback_attempted": ATTEMPT,
    "run.deleted": c.DeleteRun(),
}
STATES = ("created", "running", "completed", "awaiting", "failed", "cancelled", "deleted")

# → taken, leading there; = taken, the status stays; late; none (a no-op); NO (refused).
EXPECTED = {
    "run.started":            "→running none     NO        NO         NO      NO        NO",
    "run.step_started":       "→running →running NO        NO         NO      NO        NO",
    "run.step_recorded":      "→running →running late      late       late    late      NO",
    "run.messages_recorded":  "→running →running late      late       late    late      NO",
    "run.heartbeat_recorded": "→running →running NO        NO         NO      NO        NO",
    "run.metadata_patched":   "=        =        =         =          =       =         NO",
    "run.feedback_recorded":  "=        =        =         =          =       =         NO",
    "run.completed":          "→completed →completed NO    NO         NO      NO        NO",
    "run.failed":             "→failed  →failed  NO        NO         NO      NO        NO",
    "run.cancelled":          "→cancelled →cancelled none  →cancelled none    none      NO",
    "run.callback_requested": "NO       NO       =         =          =       =         NO",
    "run.callback_attempted": "NO       NO       =         =          =       =         NO",
    "run.deleted":            "=        =        =         =          =       =         none",
}  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "state", "expected"),
    [
        (topic, state, expected)
        for topic, row in EXPECTED.items()
        for state, expected in zip(STATES, row.split(), strict=True)
    ],
)
def test_every_event_in_every_state(topic: str, state: str, expected: str) -> None:
    history = History(*PATHS[state])
    run = history.run
    assert run is not None
    before = run.state, run.status, run.stop_reason
    if expected == "NO":
        with pytest.raises(IllegalTransition) as refused:
            history.do(COMMANDS[topic])
        error = refused.value
        assert isinstance(error, AlreadyEnded) == (state not in ("created", "running", "deleted"))
        assert error.found == before[0]
        assert error.allowed == TRANSITIONS[CATALOGUE[topic]].allowed
        for word in (topic, error.found, *error.allowed):
            assert word in str(error)
        return
    events = history.do(COMMANDS[topic])
    if expected == "none":
        assert events == []
        assert (run.state, run.status, run.stop_reason) == before
        return
    assert topic in [event.topic for event in events]
    if expected.startswith("→"):
        assert run.status == RunStatus(expected[1:])
        return
    assert (run.status, run.stop_reason) == before[1:]
    assert [getattr(event, "late", False) for event in events if event.topic == topic] == [
        expected == "late"
    ]


def test_the_table_has_every_event_of_a_run() -> None:
    of_a_run = {event for event in CATALOGUE.values() if issubclass(event, RunEvent)}
    assert TRANSITIONS.keys() == of_a_run
    with_a_test_of_their_own = {
        "run.created",
        "run.tool_calls_denied",
        "run.step_feedback_recorded",
    }
    asked = EXPECTED.keys() | with_a_test_of_their_own
    assert {event.topic for event in of_a_run} == asked


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_created_once(state: str) -> None:
    history = History(*PATHS[state])
    if state == "deleted":
        with pytest.raises(ContentConflict):
            history.do(CREATE)
    else:
        assert history.do(CREATE) == []
    with pytest.raises(ContentConflict):
        history.do(c.CreateRun("agent-other"))


@pytest.mark.parametrize("stop_reason", STATUS_OF)
def test_a_stop_reason_ends_in_its_own_status_alone(stop_reason: str) -> None:
    ends = {
        RunStatus.COMPLETED: c.CompleteRun(stop_reason),
        RunStatus.FAILED: c.FailRun(stop_reason),
    }
    for status, command in ends.items():
        history = History(*PATHS["running"])
        if status is status_of(stop_reason):
            history.do(command)
            assert history.run is not None
            assert (history.run.status, history.run.stop_reason) == (status, stop_reason)
        else:
            with pytest.raises(ValueError, match=stop_reason):
                history.do(command)
            assert history.run is not None
            assert history.run.status is RunStatus.RUNNING


def test_an_end_that_is_told_again_is_one_end() -> None:
    for state in ("completed", "awaiting", "failed"):
        history = History(*PATHS[state])
        assert history.do(PATHS[state][-1]) == []


def test_cancelling_what_waits_for_approval_denies_its_call_and_keeps_the_duration() -> None:
    history = History(*PATHS["awaiting"])
    assert history.run is not None
    run_ns = history.run.run_ns
    topics = [event.topic for event in history.do(c.CancelRun())]
    assert topics == ["run.cancelled", "run.tool_calls_denied", "run.messages_recorded"]
    assert history.run.run_ns == run_ns
    assert history.run.open_calls == {}
    assert history.do(c.CancelRun()) == []
