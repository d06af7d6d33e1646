"""The saved views of an organization: one stream, whose fold is the views by their names."""

from collections.abc import Iterable

from runledger.events import Event, ViewRemoved, ViewSaved


def view_stream(organization: str) -> str:
    """Return the stream of an organization's views; no agent and no conversation has this id."""
    return f"{organization}/views"


def fold_views(events: Iterable[Event]) -> dict[str, ViewSaved]:
    """Return the last saved view of each name that was not removed, by their names."""
    views: dict[str, ViewSaved] = {}
    for event in events:
        if isinstance(event, ViewSaved):
            views[event.name] = event
        elif isinstance(event, ViewRemoved):
            views.pop(event.name, None)
    return dict(sorted(views.items()))
