"""By which rules the tokens of steps were split, and which totals no rule leads to."""

from typing import Any, Final, NamedTuple

from projections.read_models.catalog import queries

SQL: Final = queries("steps")


class TokenRules(NamedTuple):
    """Steps by side (input, output) and rule; steps whose total is another, and a run with one."""

    steps: dict[str, dict[str, int]]
    totals_apart: int
    run: str | None

    @property
    def contradicted(self) -> int:
        """How often arithmetic decided against what the caller stated."""
        return sum(rules.get("contradicted", 0) for rules in self.steps.values())


def token_rules(db: Any) -> TokenRules:
    """Return by which rules the steps were split.

    db: a connection to a generation whose steps are by today's SQL.
    """
    steps: dict[str, dict[str, int]] = {}
    for side, rule, count in db.execute(SQL["split_by"]).fetchall():
        steps.setdefault(side, {})[rule] = count
    ((apart, run),) = db.execute(SQL["totals_apart"]).fetchall()
    return TokenRules(steps, apart, run)
