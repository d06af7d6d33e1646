"""The declaration of a read model: its `model.toml`, checked field by field."""

import tomllib
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError
from pydantic import model_validator as validated

from runledger.errors import ReadModelsError, describe

FILE: Final = "model.toml"

Name = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z_]\w*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(_Part):
    """A table, with the columns that a comparison, a replay or a check uses.

    `key` identifies its rows. `run` is the key column with the run (or other stream) of a row;
    without one, rows are totals. `born` is the column by which rows are clustered, `created` the
    time by which the rows of a day are found. `every_run` says that each run has a row. `positions`
    are the columns with positions of the log, and `checkpoint` the one of them that is compared
    with the generation's checkpoint whenever its file is opened. `owes` says that a row is a
    delivery, which a system that sends during a replay would repeat. `display` are the columns that
    are shown for a row that one side of a comparison lacks.
    """

    key: tuple[Name, ...] = Field(min_length=1)
    run: Name | None = None
    born: Name | None = None
    created: Name | None = None
    every_run: StrictBool = False
    positions: tuple[Name, ...] = ()
    checkpoint: Name | None = None
    owes: StrictBool = False
    display: tuple[Name, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """Every column that is named."""
        single = (self.run, self.born, self.created, self.checkpoint)
        return frozenset({*self.key, *self.positions, *self.display, *filter(None, single)})

    @validated(mode="after")
    def _belong_together(self) -> Self:
        if self.run is not None and self.run not in self.key:
            raise ValueError(f"run: expected a column of the key, found {self.run!r}")
        if self.every_run and self.run is None:
            raise ValueError("every_run: expected `run` to name the column with the run")
        if self.checkpoint is not None and self.checkpoint not in self.positions:
            raise ValueError(f"checkpoint: expected one of positions, found {self.checkpoint!r}")
        return self


class Deletion(_Part):
    """When the rows of deleted runs are deleted: `before` or `after` those of the named read
    models."""

    before: tuple[Name, ...] = ()
    after: tuple[Name, ...] = ()


class Declaration(_Part):
    """The declaration of a read model.

    `reads` are the read models whose tables its SQL reads; None if it is not declared, as in
    version 0.1.0. A `required` read model is part of every generation. `priced` names the statement
    before which the table `step_prices` is given the prices of the names in `used_steps`.
    """

    reads: tuple[Name, ...] | None = ()
    required: StrictBool = False
    priced: Name | None = None
    delete: Deletion = Deletion()
    tables: dict[Name, Table] = Field(min_length=1)

    @validated(mode="after")
    def _deletion_is_of_what_is_read(self) -> Self:
        reads = self.reads or ()
        for field in ("before", "after"):
            for name in getattr(self.delete, field):
                if name not in reads:
                    raise ValueError(f"delete.{field}: expected one of reads, found {name!r}")
        if both := set(self.delete.before) & set(self.delete.after):
            raise ValueError(f"delete: expected before or after, found both for {sorted(both)}")
        return self


def parse(model: str, text: str) -> Declaration:
    """Return the declaration of a read model.

    `model` is its name, `text` its model.toml.

    Raises:
        ReadModelsError: if the text is not TOML, a field is unknown, or a value has another type;
            the message names the file and the field.
    """
    try:
        return Declaration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise ReadModelsError(f"{model}/{FILE}: expected TOML, found an error: {e}") from e
    except ValidationError as e:
        raise ReadModelsError(f"{model}/{FILE}: {describe(e)}") from e
