"""Counts the rules by which the tokens of steps were split, and totals that match no rule."""

from typing import Any, Final, NamedTuple

from projections.read_models.catalog import queries

SQL: Final = queries("steps")


class TokenRules(NamedTuple):
    """Steps by side (input, output) and rule; the steps with a different total, and a run with
    one."""

    steps: dict[str, dict[str, int]]
    totals_apart: int
    run: str | None

    @property
    def contradicted(self) -> int:
        """How often the arithmetic contradicted the statement of the caller."""
        return sum(rules.get("contradicted", 0) for rules in self.steps.values())


def token_rules(db: Any) -> TokenRules:
    """Return the rules by which the steps were split.

    db: a connection to a generation whose steps were made by the current SQL.
    """
    steps: dict[str, dict[str, int]] = {}
    for side, rule, count in db.execute(SQL["split_by"]).fetchall():
        steps.setdefault(side, {})[rule] = count
    ((apart, run),) = db.execute(SQL["totals_apart"]).fetchall()
    return TokenRules(steps, apart, run)
