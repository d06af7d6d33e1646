"""The order in which read models are applied and deleted from, derived from their declarations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Final

from projections.read_models.declaration import FILE
from projections.read_models.read_model import ReadModel
from runledger.errors import ReadModelsError

_DELETION: Final = ("before", "after")


def in_order(models: Sequence[ReadModel]) -> tuple[ReadModel, ...]:
    """Return read models in the order of application: each after those that it reads.

    Those that do not depend on each other are in the order of their names. Each of them gets the
    digests of what it reads.

    Raises:
        ReadModelsError: if a declared name is not among the read models, for a cycle, if the SQL
            reads a table that is not declared, or if a model with a `delete.sql` does not declare
            when it is executed.
    """
    by_name = {model.name: model for model in models}
    for model in models:
        _expect_known(model, by_name)
        _expect_all_declared(model, models)
    made: dict[str, ReadModel] = {}
    for name in _sorted({n: set(m.declaration.reads or ()) for n, m in by_name.items()}, "reads"):
        model = by_name[name]
        reads = sorted(model.declaration.reads or ())
        made[name] = replace(model, read_digests=tuple(made[read].digest for read in reads))
    deletion_order(tuple(made.values()))
    return tuple(made.values())


def deletion_order(models: Sequence[ReadModel]) -> tuple[ReadModel, ...]:
    """Return read models in the order in which the rows of deleted runs are deleted.

    Those that do not depend on each other are in the reverse order of their names.

    Raises:
        ReadModelsError: for a cycle.
    """
    by_name = {model.name: model for model in models}
    earlier: dict[str, set[str]] = {name: set() for name in by_name}
    for name, model in by_name.items():
        earlier[name].update(by_name.keys() & set(model.declaration.delete.after))
        for other in by_name.keys() & set(model.declaration.delete.before):
            earlier[other].add(name)
    return tuple(by_name[name] for name in _sorted(earlier, "delete", reverse=True))


def _sorted(earlier: Mapping[str, set[str]], field: str, *, reverse: bool = False) -> list[str]:
    sorter = TopologicalSorter(earlier)
    try:
        sorter.prepare()
    except CycleError as e:
        cycle = " → ".join(e.args[1])
        raise ReadModelsError(
            f"{e.args[1][0]}/{FILE}: {field}: expected an order of the read models, found the "
            f"cycle {cycle}"
        ) from e
    found: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), reverse=reverse)
        found += ready
        sorter.done(*ready)
    return found


def _expect_known(model: ReadModel, by_name: Mapping[str, ReadModel]) -> None:
    declared = model.declaration
    for nth, name in enumerate(declared.reads or ()):
        if name not in by_name or name == model.name:
            others = ", ".join(sorted(by_name.keys() - {model.name})) or "none"
            raise ReadModelsError(
                f"{model.name}/{FILE}: reads.{nth}: expected the name of another read model (there "
                f"are {others}), found {name!r}"
            )
    said = {*declared.delete.before, *declared.delete.after}
    if model.delete and (left_open := sorted(set(declared.reads or ()) - said)):
        raise ReadModelsError(
            f"{model.name}/{FILE}: delete: expected `before` or `after` to name each read model "
            f"of reads, as there is a delete.sql; found neither for {', '.join(left_open)}"
        )


def _expect_all_declared(model: ReadModel, models: Sequence[ReadModel]) -> None:
    """Refuse a table of another read model that is not in `reads`: its changes would be missed."""
    if model.declaration.reads is None:
        return
    own = {table.casefold() for table in model.keys}
    for other in models:
        if other.name in (model.name, *model.declaration.reads):
            continue
        tables = {table.casefold() for table in other.keys} - own
        if found := sorted(tables & model.named_tables):
            raise ReadModelsError(
                f"{model.name}/{FILE}: reads: expected {other.name!r} in it, as the SQL reads "
                f"{', '.join(found)}; found {', '.join(model.declaration.reads) or 'nothing'}"
            )
