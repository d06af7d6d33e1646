"""A read model: its declaration, and the SQL that makes its rows."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from projections.read_models.declaration import Declaration
from runledger.sql_file import Statement, parse

_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_IN_PLACE_OF_A_TABLE: Final = re.compile(
    r"""(?<!DISTINCT\s)\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+"?(\w+)"?(?![\w.(])""", re.IGNORECASE
)
_SHAPE: Final = frozenset({"reads", "delete"})
"""The fields of a declaration that take part in making rows."""


@dataclass(frozen=True)
class ReadModel:
    """A read model as its files hold it; `delete_sql` is empty if nothing is deleted.

    `read_digests` are the digests of the read models that it reads; `projections.read_models.order`
    sets them.
    """

    name: str
    schema: str
    apply_sql: str
    delete_sql: str
    declaration: Declaration
    read_digests: tuple[str, ...] = ()

    @cached_property
    def apply(self) -> list[Statement]:
        """The statements that fold a batch, in order."""
        return parse(self.apply_sql)

    @cached_property
    def delete(self) -> list[Statement]:
        """The statements that delete the rows of deleted runs, in order."""
        return parse(self.delete_sql)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that makes the rows: SQL without comments, order, and models
        read."""
        order = self.declaration.model_dump_json(include=set(_SHAPE))
        pieces = (self.schema, self.apply_sql, self.delete_sql, order, *self.read_digests)
        return sha256(_COMMENT.sub("", "\n\0\n".join(pieces)).encode()).hexdigest()

    @cached_property
    def description_digest(self) -> str:
        """SHA-256 of the description of the rows: keys, positions, columns to show."""
        return sha256(self.declaration.model_dump_json(exclude=set(_SHAPE)).encode()).hexdigest()

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the SQL that makes the rows, names of tables and columns among them."""
        sql = _COMMENT.sub("", self.apply_sql + self.delete_sql)
        return frozenset(re.findall(r"\w+", sql.casefold()))

    @cached_property
    def named_tables(self) -> frozenset[str]:
        """The names in the SQL that stand in the place of a table, after FROM or JOIN for instance.

        Not every table of a list after FROM is found, so a missing name proves nothing.
        """
        sql = _COMMENT.sub("", self.apply_sql + self.delete_sql)
        return frozenset(name.casefold() for name in _IN_PLACE_OF_A_TABLE.findall(sql))

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The key columns of every table."""
        return {name: table.key for name, table in self.declaration.tables.items()}
