"""A text of a run is shown as text, whatever it holds."""

from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest
from hostile import ATTACKS, COLOURED, HOSTILE, TURNED
from running import RunningServer
from views import VIEWS, WITHOUT_TEXT

from runledger.server.route_table import RouteTable
from runledger.web.routes import ROUTES

pytestmark = pytest.mark.slow


class _Reader(HTMLParser):
    """Collects elements, attributes and what a reader sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.seen = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.seen += data


def read(server: RunningServer, path: str) -> _Reader:
    reader = _Reader()
    with server.client() as client:
        reader.feed(client.get(path).text)
    return reader


@pytest.mark.parametrize("path", VIEWS)
def test_no_text_becomes_an_element_an_attribute_or_a_link(page: RunningServer, path: str) -> None:
    reader = read(page, path)
    assert len(reader.found) > 30
    for tag, attributes in reader.found:
        assert tag not in ("iframe", "object", "embed", "style", "base")
        if tag == "script":
            assert attributes.keys() == {"src", "defer"}
            assert str(attributes["src"]).startswith("/static/")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("style", "srcdoc")
            if name in ("href", "src", "action"):
                assert str(value).startswith(("/", "#"))
                assert not str(value).startswith("//")


def test_every_view_of_the_application_is_asked() -> None:
    table = RouteTable(ROUTES)
    found = [table.find("GET", path.partition("?")[0]) for path in VIEWS]
    views = {route.name for route in ROUTES if route.method == "GET"}
    assert {one.route.name for one in found if one is not None} == views - WITHOUT_TEXT


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_found_or_refused_is_told_as_text(page: RunningServer, attack: str) -> None:
    for path in (
        f"/runs/{quote(attack, safe='')}",
        f"/models/one?{urlencode({'name': attack + ' '})}",
        f"/sql?{urlencode({'statement': attack})}",
        f"/runs?{urlencode({'where': attack})}",
        f"/overview?{urlencode({'as_of': attack})}",
    ):
        with page.client() as client:
            answer = client.get(path)
        assert 400 <= answer.status_code < 500
        reader = _Reader()
        reader.feed(answer.text)
        for tag, attributes in reader.found:
            assert tag not in ("img", "iframe")
            assert not any(name.startswith("on") for name in attributes)
            assert not str(attributes.get("href", "")).startswith("javascript:")
            assert tag != "script" or str(attributes["src"]).startswith("/static/")


def test_the_attacks_are_read_as_they_were_written(page: RunningServer) -> None:
    seen = read(page, f"/runs/{HOSTILE}").seen
    for attack in ATTACKS:
        assert attack in seen


def test_control_characters_and_turned_text_are_seen(page: RunningServer) -> None:
    with page.client() as client:
        for path in VIEWS:
            text = client.get(path).text
            assert "\x1b" not in text
            assert "\u202e" not in text
    seen = read(page, f"/runs/{HOSTILE}").seen
    assert COLOURED.replace("\x1b", "\u241b") in seen
    assert TURNED.replace("\u202e", "[U+202E]") in seen


def test_a_line_of_a_megabyte_is_cut_and_its_length_is_told(page: RunningServer) -> None:
    with page.client() as client:
        answer = client.get(f"/runs/{HOSTILE}")
    assert len(answer.content) < 200_000
    assert "1,048,576" in answer.text
