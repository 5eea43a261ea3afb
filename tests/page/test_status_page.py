"""The status page in a real browser, drawing what happens to a real bridge: what whoever is on call sees of it."""

import json
import re

import pytest

from tests.page.chromium import Chromium, Page
from tests.page.scene import Scene
from tests.support import until

pytestmark = [pytest.mark.chromium, pytest.mark.mqtt]

_MARK = "document.documentElement.dataset.mark"
_COLOUR = "getComputedStyle(document.querySelector('{}')).color"
_LIVELY = f"{_COLOUR.format('#hub .state')} !== {_COLOUR.format('#about')}"
_MOVING = "document.getAnimations().length"
_POLLS = "performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/status')).length"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def polled(page: Page, times: int) -> None:
    """Wait until the page has asked the bridge so many times more."""
    enough = await page.evaluate(_POLLS) + times

    async def asked() -> bool:
        return bool(await page.evaluate(_POLLS) >= enough)

    await until(asked, 20, f"{times} polls")


async def obstacles(page: Page, axe: str) -> list[str]:
    """Name what keeps people from using the page as it is now, and where."""
    await page.evaluate(f"{axe}; 0")
    found = await page.evaluate(
        f"axe.run({{runOnly: {json.dumps(_RULES)}, preload: false}}).then((run) => run.violations)"
    )
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}" for one in found]


async def test_of_a_bridge_that_is_well_the_page_shows_how_events_flow(page: Page, parts: Scene) -> None:
    """From the hub through the journal to each sink, and the tab shows it too."""
    for _ in range(10):
        parts.hub.change("tickets")
    await page.says("#lanes .number", ".")
    await page.says("#hub .number", ".")

    assert await page.text("#headline") == "All is well: what Portos says reaches mqtt."
    assert await page.text("#advice") == ""
    assert await page.text("#hub .state") == "listening"
    assert await page.text("#journal .state") == "storing"
    assert await page.text("#lanes h3") == "mqtt"
    assert await page.text("#lanes .state") == "delivering"
    assert await page.text("#letters") == "Every event was taken."
    assert await page.text("#gaps") == "No version is known to be missing."
    assert (
        await page.evaluate("document.title") == "All is well: what Portos says reaches mqtt. | portos-bridge default"
    )
    assert page.complaints == []


async def test_a_broker_that_goes_and_returns_is_seen_without_a_reload(page: Page, parts: Scene) -> None:
    """With what it means, what the library said, and what to do; who hears the page is told."""
    await page.evaluate(f"{_MARK} = 'the same document'")

    parts.mqtt.kill()
    await page.says("#headline", "The sink mqtt cannot be reached. What it should get is kept in the journal.")
    await page.says("#advice", "Nothing yet. The bridge goes on trying by itself.")
    parts.hub.change("tickets")
    await page.says("#journal .number", "1")

    assert await page.text("#lanes .state") == "not connected"
    assert await page.evaluate("document.querySelector('#lanes .node').dataset.level") == "warning"
    assert "no connection to the broker" in await page.text("#cause")
    assert "cannot be reached" in await page.text("#announcement")

    parts.mqtt.restart()
    await page.says("#headline", "All is well")
    await page.says("#journal .number", "0")

    assert await page.evaluate(_MARK) == "the same document"
    assert page.complaints == []


async def test_a_hub_that_goes_and_returns_leaves_a_blind_window(page: Page, parts: Scene) -> None:
    parts.hub.kill()
    await page.says("#headline", "Portos cannot be reached. What it says meanwhile is missed")
    await page.says("#blind-summary", "blind now")
    open_window = await page.text("#windows tbody tr")

    parts.hub.restart()
    await page.says("#headline", "All is well")
    await page.says("#blind-summary", "1 window")

    assert "not over" in open_window
    why = await page.text("#windows tbody td:last-child")
    assert why in {"Portos closed the connection", "the connection broke"}  # which of them is up to the kernel
    assert await page.evaluate("document.querySelectorAll('#timeline .blind').length") == 1
    assert page.complaints == []


async def test_dead_letters_are_shown_by_reason_with_what_to_do(page: Page, parts: Scene) -> None:
    parts.refuse("mqtt", 2)
    await page.says("#letters-summary", "2 events kept")

    assert await page.text("#headline") == "Events are kept as dead letters: the broker of mqtt will never take them."
    assert "portos-bridge dlq list --sink mqtt" in await page.text("#advice")
    assert (await page.text("#letters tbody")).split("\t") == ["mqtt", "larger than the broker takes", "2"]

    parts.purge()
    await page.says("#headline", "All is well")


async def test_a_bridge_that_does_not_answer_leaves_its_last_picture_greyed(page: Page, parts: Scene) -> None:
    """And its return is seen."""
    parts.bridge.kill9()
    await page.says("#headline", "The bridge does not answer.")

    assert "no answer for" in await page.text("#cause")
    assert "how it was when it last did" in await page.text("#advice")
    assert await page.text("#lanes h3") == "mqtt"
    assert await page.evaluate(_LIVELY) is False
    assert await page.evaluate("document.title") == "● The bridge does not answer. | portos-bridge default"

    parts.bridge.start()
    await page.says("#headline", "All is well")
    assert await page.evaluate(_LIVELY) is True
    assert [one for one in page.complaints if "Failed to load resource" not in one] == []


async def altered(page: Page, change: str) -> None:
    """Have the page see something else than the bridge says: `change` is done to each answer, `s`."""
    again = "return new Response(JSON.stringify(s), { headers: { 'Content-Type': 'application/json' } })"
    asked = f"const s = await (await asked(...what)).json(); {change}; {again};"
    await page.evaluate(f"const asked = window.fetch; window.fetch = async (...what) => {{ {asked} }}; 0")
    await polled(page, 2)


async def test_the_way_to_a_journal_that_takes_nothing_is_broken(page: Page, parts: Scene) -> None:
    """Whatever the hub says meanwhile."""
    assert await page.evaluate("document.querySelector('#hub-wire').dataset.flow") != "broken"

    await altered(page, "s.checks.find((check) => check.name === 'journal').ok = false")

    assert await page.evaluate("document.querySelector('#hub-wire').dataset.flow") == "broken"


@pytest.mark.parametrize("width", [360, 900, 1200])
async def test_all_that_is_said_of_a_sink_has_its_room(page: Page, parts: Scene, width: int) -> None:
    """Also where it is much: no word reaches into the next."""
    await page.look(width=width)

    lost = "{ connected: false, failures: 9, lagEvents: 123456, lagSeconds: 3700, nextAttemptAt: s.at + 25 }"
    await altered(page, f"Object.assign(s.sinks.mqtt, {lost})")

    await page.says("#lanes dl", "next attempt")
    spilt = "[...document.querySelectorAll('#lanes dl, #lanes dl div')].filter((it) => it.scrollWidth > it.clientWidth)"
    assert await page.evaluate(f"{spilt}.map((it) => it.textContent)") == []


async def test_a_moment_that_is_still_to_come_is_not_told_as_past(page: Page, parts: Scene) -> None:
    """After the bridge's clock was set back."""
    await altered(page, "s.hub.since = s.at + 3590")

    await page.says("#hub dl", "in 59 min")


async def test_a_hub_that_talks_markup_is_shown_as_text(page: Page, parts: Scene) -> None:
    """What others say of themselves runs nowhere."""
    parts.hub.refuse(1000, "<img src=x onerror=\"document.title='taken'\">")
    parts.hub.disconnect()
    await page.says("#cause", "<img src=x")

    assert await page.evaluate("document.images.length") == 0
    assert "taken" not in await page.evaluate("document.title")

    parts.hub.refuse(0)
    await page.says("#headline", "All is well")


async def test_who_hears_the_page_is_told_of_changes_only(page: Page, parts: Scene) -> None:
    watch = "new MutationObserver((all) => { window.told += all.length; })"
    options = "{childList: true, characterData: true, subtree: true}"
    await page.evaluate(f"window.told = 0; {watch}.observe(document.querySelector('#announcement'), {options})")

    for _ in range(3):
        parts.hub.change("tickets")
        await polled(page, 1)

    assert await page.evaluate("window.told") == 0


async def test_the_page_is_used_with_the_keyboard(page: Page) -> None:
    """Every moment tells its date when it has the focus, and what is folded opens."""
    width = "(document.activeElement.querySelector('.exact') ?? document.activeElement).clientWidth"
    focused = "document.activeElement.matches('#hub time')"
    for _ in range(10):
        await page.press("Tab")
        if await page.evaluate(focused):
            break

    assert await page.evaluate(focused)
    assert await page.evaluate(width) > 100

    await page.evaluate("document.querySelector('main summary:has(h2)').focus()")
    await page.press("Enter")
    await page.says("#checks", "event loop")


async def test_a_moment_is_that_of_the_reader_and_of_the_log_whatever_the_browsers_clock_says(
    browser: Chromium, parts: Scene
) -> None:
    async with browser.page() as page:
        await page.call("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source="Date.now = () => 0")
        await page.open(parts.url)
        await page.says("#headline", "All is well")
        since = parts.bridge.status()["hub"]["since"]

        told = await page.evaluate("document.querySelector('#hub time').innerText")
        exact = await page.evaluate("document.querySelector('#hub .exact').textContent")
        told_in_log = await page.evaluate(f"new Date({since} * 1000).toISOString().slice(0, 19)")

    assert re.match(r"[1-9]\d? (s|min) ago\b", told), told
    assert "UTC+5:30" in exact
    assert f"{told_in_log}Z in the log" in exact


async def test_nothing_moves_for_who_wants_less_motion(page: Page, parts: Scene) -> None:
    parts.hub.change("tickets")
    await page.says("#lanes .number", ".")
    moving = await page.evaluate(_MOVING)

    await page.reduce_motion()

    assert moving > 0
    assert await page.evaluate(_MOVING) == 0


@pytest.mark.parametrize("width", [320, 390, 700, 1400])
async def test_the_page_fits_a_phone_as_well_as_a_desk(page: Page, width: int) -> None:
    await page.look(width=width)
    await polled(page, 1)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390), ("dark", 390)])
async def test_nothing_keeps_people_from_using_the_page(page: Page, axe: str, scheme: str, width: int) -> None:
    """Contrast, names, roles and order, by the rules of WCAG 2.2 AA and the habits beyond."""
    await page.look(scheme, width=width)

    assert await obstacles(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nor_where_something_is_wrong(page: Page, parts: Scene, axe: str, scheme: str) -> None:
    """With a list of what else is wrong, with dead letters, and with a bridge that does not answer any more."""
    await page.look(scheme)
    parts.refuse("mqtt", 1)
    parts.hub.kill()
    parts.mqtt.kill()
    await page.says("#headline", "Portos cannot be reached")
    await page.says("#problems", "The sink mqtt cannot be reached")
    wrong = await obstacles(page, axe)

    parts.bridge.kill9()
    await page.says("#headline", "The bridge does not answer.")
    stale = await obstacles(page, axe)

    parts.hub.restart()
    parts.mqtt.restart()
    parts.bridge.start()
    parts.purge()
    await page.says("#headline", "All is well")
    assert (wrong, stale) == ([], [])
