"""Draw docs/state_machine.md's picture and tables from the transition table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runledger.run.transitions import AWAITING, DELETED, NONE, STATUS_OF, TRANSITIONS

PAGE: Final = Path(__file__).parents[1] / "docs" / "state_machine.md"
BEGIN: Final = "<!-- drawn by scripts/draw_state_machine.py -->"
END: Final = "<!-- end of what is drawn -->"

_NODES: Final = {NONE: "[*]", AWAITING: "awaiting", DELETED: "[*]"}


def drawn() -> str:
    """Return the part of the page that is drawn: picture, transitions, stop reasons."""
    return "\n".join((*_picture(), "", *_transitions(), "", *_stop_reasons()))


def page(text: str) -> str:
    """Return the page with its drawn part made again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{drawn()}\n\n{END}{after}"


def _picture() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f'    state "{AWAITING}" as awaiting'
    arrows: dict[tuple[str, str], list[str]] = {}
    for event, rule in TRANSITIONS.items():
        if rule.to is None:
            continue
        targets = [rule.to, AWAITING] if rule.to == "completed" else [rule.to]
        for found in rule.allowed:
            for to in targets:
                # What leaves the state as it is would only be loops.
                if to != found:
                    arrow = _NODES.get(found, found), _NODES.get(to, to)
                    arrows.setdefault(arrow, []).append(event.__name__)
    for (found, to), events in arrows.items():
        yield f"    {found} --> {to}: {', '.join(events)}"
    yield "```"


def _transitions() -> Iterator[str]:
    yield "| event | allowed when | leads to | after the end |"
    yield "|---|---|---|---|"
    for event, rule in TRANSITIONS.items():
        allowed, to = ", ".join(rule.allowed), rule.to or "no change"
        late = "recorded as late" if rule.late else ""
        yield f"| {event.__name__} | {allowed} | {to} | {late} |"


def _stop_reasons() -> Iterator[str]:
    yield "| stop reason | status |"
    yield "|---|---|"
    for reason, status in STATUS_OF.items():
        yield f"| {reason} | {status} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
