"""Finds the route of a path: segment by segment, on the path as it was sent."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from runledger.server.refusal import Refusal
from runledger.server.route import Route


class Found(NamedTuple):
    """A route, and what its path's names stand for."""

    route: Route
    names: dict[str, str]


class _Node:
    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.named: _Node | None = None
        self.routes: dict[str, Route] = {}


class RouteTable:
    """All routes, by method and path.

    A segment is decoded after the path was split, so that a slash inside an id (`%2f`) stays inside
    it. A literal segment goes before a name.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._routes: list[Route] = []
        self.add(routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, routes: Iterable[Route]) -> None:
        """Take more routes in; ValueError for one whose method and path are taken."""
        for route in routes:
            node = self._root
            for segment in _segments(route.path):
                if segment.startswith("{"):
                    node.named = node = node.named or _Node()
                else:
                    node = node.literal.setdefault(segment, _Node())
            if route.method in node.routes:
                raise ValueError(f"route {route.method} {route.path}: expected it once")
            node.routes[route.method] = route
            self._routes.append(route)

    def find(self, method: str, path: str) -> Found | None:
        """Return the route of a path as it was sent, percent signs and all, or None.

        Raises Refusal: 405 for a path that has other methods, 400 for a segment that is not UTF-8.
        """
        segments = [_decoded(segment) for segment in _segments(path)]
        routes = _walk(self._root, segments, 0)
        if routes is None:
            return None
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted(routes))
            raise Refusal(405, f"expected {allowed}, found {method}", headers={"Allow": allowed})
        pairs = zip(_segments(route.path), segments, strict=True)
        return Found(route, {name[1:-1]: given for name, given in pairs if name.startswith("{")})


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")


def _walk(node: _Node, segments: list[str], place: int) -> dict[str, Route] | None:
    if place == len(segments):
        return node.routes or None
    literal = node.literal.get(segments[place])
    if literal is not None and (found := _walk(literal, segments, place + 1)) is not None:
        return found
    return None if node.named is None else _walk(node.named, segments, place + 1)


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "path: expected UTF-8 behind percent signs") from None
