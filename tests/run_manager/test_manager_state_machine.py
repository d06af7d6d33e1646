"""The page about the life of a run is drawn from the transition table."""

from runledger.run import STATUS_OF, TRANSITIONS
from runledger.run.transitions import NONE
from scripts.draw_state_machine import PAGE, drawn, page


def test_the_page_shows_the_transitions_that_hold():
    text = PAGE.read_text()
    assert page(text) == text
    for event in TRANSITIONS:
        assert f"| {event.__name__} |" in drawn()


def test_every_stop_reason_has_a_status_and_every_state_can_be_left():
    states = {state for rule in TRANSITIONS.values() for state in rule.allowed} - {NONE}
    leads = {rule.to for rule in TRANSITIONS.values()} - {None, "deleted"}
    assert leads <= states
    assert set(STATUS_OF.values()) == leads - {"created", "running"}
