"""Whatever is asked in whatever order: the laws that no sequence of commands may break."""

from datetime import timedelta

from histories_of_a_run import BEGIN, CREATE, STEP, History, answer, asking, message
from hypothesis import given, settings
from hypothesis import strategies as st

from runledger.errors import LedgerError
from runledger.run import TRANSITIONS, evolve, status_of
from runledger.run import commands as c

_steps = [STEP.replace("1", digit) for digit in "1234"]
commands = st.one_of(
    st.just(CREATE),
    st.just(c.StartRun()),
    st.builds(c.StartStep, st.sampled_from(_steps)),
    st.builds(
        c.RecordStep,
        st.sampled_from(_steps),
        st.fixed_dictionaries({}, optional={"prompt_tokens": st.integers(0, 3)}),
        st.lists(st.integers(1, 5).map(message), max_size=2, unique_by=lambda m: m.id),
    ),
    st.builds(c.RecordMessages, st.integers(900, 902).map(lambda n: [asking(n)]), st.just(BEGIN)),
    st.builds(
        c.RecordMessages,
        st.builds(answer, st.integers(910, 912), st.booleans()).map(lambda m: [m]),
    ),
    st.builds(c.PatchMetadata, st.dictionaries(st.sampled_from("ab"), st.integers(0, 1))),
    st.builds(c.RecordRunFeedback, st.sampled_from(["positive", "negative", None])),
    st.builds(
        c.RecordStepFeedback,
        st.sampled_from(_steps),
        st.sampled_from(["positive", "negative", None]),
        st.sampled_from([None, [], ["a"]]),
    ),
    st.just(c.RecordHeartbeat()),
    st.builds(c.CompleteRun, st.sampled_from(["end_turn", "max_steps", "requires_approval"])),
    st.builds(c.FailRun, st.sampled_from(["error", "llm_api_error"])),
    st.just(c.CancelRun()),
    st.just(c.ExpireRun(BEGIN + timedelta(days=9))),
    st.just(c.ExpireApprovals()),
    st.just(c.DeleteRun()),
)


@settings(max_examples=300)
@given(st.lists(commands, max_size=25))
def test_no_sequence_breaks_the_laws(asked: list[c.Command]) -> None:
    history = History(CREATE)
    for command in asked:
        run = history.run
        assert run is not None
        before = run.state
        count = len(history.events)
        try:
            events = history.do(command)
        except LedgerError:
            # Refused as a whole.
            assert len(history.events) == count
            assert run.state == before
            continue
        if events:
            first = events[0]
            assert before in TRANSITIONS[type(first)].allowed or first.late
        if before in ("completed", "failed", "cancelled"):
            # The first end stays.
            assert run.state in (before, "deleted")
        if run.ended:
            assert run.stop_reason is not None
            assert run.status is status_of(run.stop_reason)
            assert run.completed_at is not None
        else:
            assert run.stop_reason is None
        if isinstance(command, c.CancelRun) and events:
            assert run.open_calls == {}
        if not isinstance(command, c.RecordHeartbeat):
            assert history.do(command) == []


@settings(max_examples=100)
@given(st.lists(commands, max_size=20))
def test_folding_the_events_again_gives_the_same_run(asked: list[c.Command]) -> None:
    history = History(CREATE)
    for command in asked:
        try:
            history.do(command)
        except LedgerError:
            continue
    run = None
    for version, event in enumerate(history.events, 1):
        run = evolve(run, history.run.run_id, version, event)  # type: ignore[union-attr]
    assert run == history.run
