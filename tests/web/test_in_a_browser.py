"""The page in a real Chromium: keyboard, narrow, dark, without JavaScript, and no fault in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Watched, chromium, expect, expect_browser, violations
from hostile import HOSTILE
from running import RunningServer
from sample import RICH
from views import VIEWS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    expect_browser()
    with chromium() as started:
        yield started


@pytest.fixture
def window(browser: Any, page: RunningServer, request: pytest.FixtureRequest) -> Iterator[Watched]:
    options = getattr(request, "param", {})
    opened = Watched(browser, page.url, **options)
    yield opened
    opened.close()


WIDE = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}


@pytest.mark.parametrize("window", [WIDE, NARROW], indirect=True, ids=["wide", "narrow-dark"])
@pytest.mark.parametrize("path", VIEWS)
def test_a_view_has_no_fault(window: Watched, path: str) -> None:
    shown = window.open(path)
    assert shown.evaluate("window.hit") is None
    assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert violations(shown) == []


@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True, ids=["plain"])
@pytest.mark.parametrize("path", VIEWS)
def test_a_view_reads_without_javascript(window: Watched, path: str) -> None:
    shown = window.open(path)
    assert shown.locator("h1").first.inner_text()
    assert "times in UTC" in shown.locator("footer").inner_text()


def test_filters_are_set_by_form_facet_and_chip(window: Watched) -> None:
    shown = window.open("/runs")
    shown.locator("form[role=search] summary").click()
    shown.locator("input[value=failed]").check()
    shown.get_by_role("button", name="Filter").click()
    assert "statuses=failed" in shown.url
    failed = shown.locator("table.runs tbody tr").count()
    assert failed == shown.locator("table.runs .is-failed").count() > 0
    shown.get_by_label("Take away: status failed").click()
    assert "statuses" not in shown.url
    shown.locator(".facets a").first.click()
    assert shown.locator("table.runs tbody tr").count() > 0


def test_a_drag_over_the_durations_filters(window: Watched) -> None:
    shown = window.open("/runs")
    box = shown.locator("svg[data-brush].wide").bounding_box()
    shown.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=4)
    with shown.expect_navigation():
        shown.mouse.up()
    assert "duration=" in shown.url
    assert shown.locator(".chip").count() == 1


def test_a_run_is_reached_and_read_by_keyboard_alone(window: Watched) -> None:
    shown = window.open("/runs")
    shown.keyboard.press("/")
    assert shown.evaluate("document.activeElement.name") == "where"
    shown.keyboard.press("Escape")
    shown.evaluate("document.activeElement.blur()")
    shown.keyboard.press("j")
    shown.keyboard.press("j")
    shown.keyboard.press("k")
    first = shown.locator("table.runs tbody a").first.get_attribute("href")
    assert shown.evaluate("document.activeElement.getAttribute('href')") == first
    with shown.expect_navigation():
        shown.keyboard.press("Enter")
    assert shown.url.endswith(str(first))
    shown.keyboard.press("?")
    assert shown.locator("#help").get_attribute("open") is not None


def test_the_first_stop_of_the_keyboard_skips_to_the_content(window: Watched) -> None:
    shown = window.open("/runs")
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "main"


def test_the_slider_shows_the_run_after_an_event(window: Watched) -> None:
    shown = window.open(f"/runs/{RICH}")
    shown.locator("#ev").focus()
    shown.keyboard.press("Home")
    shown.get_by_role("button", name="Show").click()
    assert "event=1" in shown.url
    assert shown.locator("h1").inner_text().startswith("created")


def test_the_theme_is_chosen_and_kept(window: Watched) -> None:
    shown = window.open("/runs")
    shown.locator("#theme").click()
    theme = shown.evaluate("document.documentElement.dataset.theme")
    shown.reload()
    assert shown.evaluate("document.documentElement.dataset.theme") == theme


def test_sql_is_asked_with_the_keyboard(window: Watched) -> None:
    shown = window.open("/sql")
    shown.locator("#statement").fill("SELECT 41 + 1 AS answer")
    with shown.expect_navigation():
        shown.keyboard.press("Control+Enter")
    assert shown.locator("table tbody td").inner_text() == "42"


def test_names_of_tables_and_columns_are_completed(window: Watched) -> None:
    shown = window.open("/sql")
    editor = shown.locator("#statement")
    editor.fill("")
    editor.press_sequentially("SELECT st")
    expect(shown.locator("#names li").first).to_have_text("status")
    editor.press("Tab")
    expect(editor).to_have_value("SELECT status")
    editor.press_sequentially(", count(*) AS n FROM tool_")
    expect(shown.locator("#names li")).to_have_text(["tool_calls"])
    editor.press("ArrowDown")
    expect(shown.locator("#names li")).to_have_attribute("aria-selected", "true")
    editor.press("Enter")
    expect(editor).to_have_value("SELECT status, count(*) AS n FROM tool_calls")
    editor.press_sequentially(" t WHERE t.retu")
    expect(shown.locator("#names li")).to_have_text(["returned_at", "return_status"])
    editor.press("Escape")
    expect(shown.locator("#names")).to_be_hidden()
    editor.press("Tab")
    assert shown.evaluate("document.activeElement.id") != "statement"


def test_questions_are_kept_in_the_browser_and_forgotten(window: Watched) -> None:
    shown = window.open("/sql")
    shown.locator("#statement").fill("SELECT 41 + 1 AS answer")
    shown.get_by_role("textbox", name="Name").fill("The answer")
    shown.get_by_role("button", name="Ask").click()
    expect(shown.locator("h1")).to_have_text("The answer")
    shown = window.open("/sql?statement=SELECT+'<b>'+AS+word")
    expect(shown.locator("#history a")).to_have_text(["SELECT '<b>' AS word"])
    shown.locator("#named a", has_text="The answer").click()
    expect(shown.locator("h1")).to_have_text("The answer")
    expect(shown.locator("table tbody td")).to_have_text("42")
    shown.get_by_label("Forget: The answer").click()
    expect(shown.locator("#named a")).to_have_count(0)
    expect(shown.locator("#history a")).to_have_count(1)


def test_a_question_can_be_stopped_while_it_is_asked(window: Watched) -> None:
    # That the work ends with the connection is another test; here nothing is sent.
    shown = window.open("/sql")
    shown.evaluate(
        "document.querySelector('#statement').form"
        ".addEventListener('submit', event => event.preventDefault())"
    )
    expect(shown.locator("#stop")).to_be_hidden()
    shown.get_by_role("button", name="Ask").click()
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator("#stop")).to_be_hidden()


def test_columns_are_chosen_and_any_of_them_orders(window: Watched) -> None:
    shown = window.open("/runs?statuses=completed")
    shown.locator("#columns summary").click()
    shown.locator("#columns").get_by_label("Project", exact=True).uncheck()
    shown.locator("#columns").get_by_label("Tokens in").check()
    shown.get_by_role("button", name="Show these").click()
    expect(shown.locator("table.runs thead")).to_contain_text("Tokens in")
    expect(shown.locator("table.runs thead")).not_to_contain_text("Project")
    shown.locator("table.runs thead").get_by_role("link", name="Tokens in").click()
    expect(shown.locator("th[aria-sort=descending]")).to_contain_text("Tokens in")
    shown.locator("table.runs thead").get_by_role("link", name="Tokens in").click()
    expect(shown.locator("th[aria-sort=ascending]")).to_contain_text("Tokens in")
    assert "statuses=completed" in shown.url


def test_two_runs_of_the_list_are_compared(window: Watched) -> None:
    shown = window.open("/runs")
    for number in (0, 1):
        shown.locator("table.runs tbody input[type=checkbox]").nth(number).check()
    shown.get_by_role("button", name="Compare two").click()
    expect(shown.locator("h1")).to_have_text("Two runs")
    heads = shown.locator("table.versus").first.locator("th a")
    before = heads.all_inner_texts()
    shown.get_by_role("link", name="Change sides").click()
    expect(heads).to_have_text(before[::-1])


def test_the_list_is_shown_as_of_a_place_of_the_slider(window: Watched) -> None:
    shown = window.open("/runs")
    shown.locator("summary[aria-label^='Answer as of']").click()
    shown.locator("#as-of").fill("20")
    shown.get_by_role("button", name="Go there").click()
    expect(shown.locator(".ribbon")).to_contain_text("As of 20.")


def test_a_tree_of_json_is_unfolded_by_keyboard(window: Watched) -> None:
    shown = window.open(f"/runs/{RICH}")
    call = shown.locator(".talk details", has=shown.locator(".json-tree")).first
    call.locator("summary").first.press("Enter")
    expect(call.locator(".json-tree li").first).to_be_visible()
    call.locator(".json-tree summary").first.press("Enter")
    expect(call.locator(".json-tree li").first).to_be_hidden()


def test_a_run_is_cancelled_and_deleted_with_its_buttons(
    browser: Any, empty: RunningServer
) -> None:
    run = empty.do(empty.ledger.create_run("agent-a"))
    opened = Watched(browser, empty.url)
    shown = opened.open(f"/runs/{run.run_id}")
    shown.get_by_text("Actions", exact=True).click()
    shown.get_by_role("button", name="Cancel this run").click()
    expect(shown.locator("h1")).to_contain_text("cancelled")
    shown.get_by_text("Actions", exact=True).click()
    shown.get_by_label("It goes out of every list").check()
    shown.get_by_role("button", name="Delete this run").click()
    expect(shown.locator("h1")).to_have_text("Runs")
    expect(shown.locator("table.runs tbody tr")).to_have_count(0)
    opened.close()


def test_nothing_of_a_hostile_run_happens(window: Watched) -> None:
    shown = window.open(f"/runs/{HOSTILE}")
    # An open menu lies over the button beside it, so each is opened by itself and left open.
    for details in shown.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert shown.evaluate("window.hit") is None
    assert shown.locator("iframe, object, embed").count() == 0


def test_new_runs_are_told_and_no_row_moves(browser: Any, empty: RunningServer) -> None:
    opened = Watched(browser, empty.url)
    shown = opened.open("/runs")
    assert "Nothing has run here yet" in shown.locator("h1").inner_text()
    empty.do(empty.ledger.create_run("agent-a"))
    shown.locator("table.runs tbody tr").wait_for()
    for number in (1, 2):
        empty.do(empty.ledger.create_run("agent-a"))
        shown.get_by_text(f"{number} new run").wait_for()
        assert shown.locator("table.runs tbody tr").count() == 1
    shown.get_by_text("2 new runs").click()
    shown.wait_for_function("document.querySelectorAll('table.runs tbody tr').length === 3")
    opened.close()


def test_what_is_asked_of_every_view_can_fail(browser: Any, page: RunningServer) -> None:
    opened = Watched(browser, page.url)
    shown = opened.open("/runs")
    shown.evaluate("document.querySelector('h1').innerHTML = '<img src=/static/0/none.svg>'")
    assert any(one.startswith("image-alt") for one in violations(shown))
    shown.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    shown.evaluate("document.body.setAttribute('style', 'color: red')")
    with pytest.raises(AssertionError):
        opened.close()
