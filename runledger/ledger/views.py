"""Saved views: conditions on runs, and questions in SQL, under names of an organization."""

import re
from difflib import get_close_matches
from typing import Final, get_args

from projections.queries.where.expression import read
from runledger.arguments import check_texts
from runledger.command_handling.views import change_views, read_views
from runledger.errors import InvalidArgument, NotFound
from runledger.events import Event, ViewKind, ViewRemoved, ViewSaved
from runledger.ledger.part import LedgerPart
from runledger.records import Records, SavedView
from runledger.run import Actor
from runledger.run.rules import stamped
from runledger.storable import storable

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_SQL: Final = 100_000
"""Characters of a question in SQL."""


class Views(LedgerPart):
    """A view is an event of the log: it has an actor and a time, and needs no read models."""

    async def save_view(
        self, name: str, text: str, *, kind: ViewKind = "runs", actor: Actor | None = None
    ) -> SavedView:
        """Save a condition on runs, or a SELECT, under a name; a view of that name is replaced.

        Parameters:
            name: 64 letters, digits, dots, hyphens and underscores at most.
            text: a condition in the filter language, or one SELECT.
            kind: "runs" for a condition, "sql" for a SELECT, which is not checked before it is
                asked.
            actor: acts instead of the ledger's own actor; the view is of its organization.

        Raises:
            InvalidArgument: for a wrong name or kind, or too many views.
            InvalidExpression: if the condition is not in the language.
        """
        _check_name(name)
        check_texts(text=text)
        if kind not in get_args(ViewKind):
            raise InvalidArgument(f"kind: expected runs or sql, found {kind!r:.80}")
        if kind == "runs":
            read(text)
        elif not text.strip() or len(text) > MOST_SQL:
            raise InvalidArgument(f"text: expected one SELECT of {MOST_SQL:,} characters at most")
        envelope = self.opened.handler.envelope(storable(self.opened.acting(actor)))
        saved = stamped(ViewSaved, envelope, name=name, kind=kind, text=storable(text))

        def unless_the_same(views: dict[str, ViewSaved]) -> Event | None:
            known = views.get(name)
            same = known is not None and (known.kind, known.text) == (kind, text)
            return None if same else saved

        await change_views(self.opened.store, envelope, unless_the_same)
        return await self.get_view(name, actor=actor)

    async def remove_view(self, name: str, *, actor: Actor | None = None) -> bool:
        """Remove a view; return whether there was one.

        Parameters:
            name: the name of the view.
            actor: acts instead of the ledger's own actor; the view is of its organization.
        """
        _check_name(name)
        envelope = self.opened.handler.envelope(storable(self.opened.acting(actor)))
        removed = stamped(ViewRemoved, envelope, name=name)
        found = False

        def if_there(views: dict[str, ViewSaved]) -> Event | None:
            nonlocal found
            found = name in views
            return removed if found else None

        await change_views(self.opened.store, envelope, if_there)
        return found

    async def list_views(self, *, actor: Actor | None = None) -> list[SavedView]:
        """Return the views of the organization, by their names.

        Parameters:
            actor: acts instead of the ledger's own actor; the views are of its organization.
        """
        views = await read_views(self.opened.store, self.opened.organization(actor))
        return Records(_record(view) for view in views.values())

    async def get_view(self, name: str, *, actor: Actor | None = None) -> SavedView:
        """Return a view; NotFound if the organization has none of this name.

        Parameters:
            name: the name of the view.
            actor: acts instead of the ledger's own actor; the view is of its organization.
        """
        _check_name(name)
        views = await read_views(self.opened.store, self.opened.organization(actor))
        if name not in views:
            near = get_close_matches(name, views, n=1)
            raise NotFound("view", name, f"did you mean {near[0]}?" if near else "")
        return _record(views[name])


def _check_name(name: str) -> None:
    check_texts(name=name)
    if _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f"name: expected 1 to 64 letters, digits, dots, hyphens and underscores, "
            f"found {name!r:.80}"
        )


def _record(view: ViewSaved) -> SavedView:
    return SavedView(
        name=view.name,
        kind=view.kind,
        text=view.text,
        saved_at=view.recorded_at,
        saved_by=view.user,
    )
