"""Draw the life of a generation in docs/replay.md from the table of its steps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from projections.generations.manifest import NONE, STEPS

PAGE: Final = Path(__file__).parents[1] / "docs" / "replay.md"
BEGIN: Final = "<!-- drawn by scripts/draw_generations.py -->"
END: Final = "<!-- end of what is drawn -->"


def page(text: str) -> str:
    """Return the page with its drawn part made again."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: expected the marks {BEGIN!r} and {END!r}")
    drawn = "\n".join((*_picture(), "", *_steps()))
    return f"{before}{BEGIN}\n\n{drawn}\n\n{END}{after}"


def _picture() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    for step in STEPS:
        for state in step.allowed:
            # What leaves the state as it is would only be loops.
            if state != step.to:
                yield f"    {_node(state)} --> {_node(step.to)}: {step.name}"
    yield "```"


def _steps() -> Iterator[str]:
    yield "| step | from | to |"
    yield "|---|---|---|"
    for step in STEPS:
        yield f"| {step.name} | {', '.join(step.allowed)} | {step.to} |"


def _node(state: str) -> str:
    return "[*]" if state == NONE else state


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
