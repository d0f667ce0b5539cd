"""Every page as it stands: at both widths, in both schemes, by keyboard, without a script, in another zone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser

from .browser import SCHEMES, WIDTHS, Account, look_at, open_context, tab_through
from .bus import HOSTILE, Bus


def paths(it: dict) -> dict[str, str]:
    """The pages by the name of their screenshot."""
    hostile = quote(HOSTILE)
    detail = {name: f"/admin/dashboard/intents/{it[name]}" for name in DETAILS}
    return {
        "overview": "/admin/dashboard",
        "intents": "/admin/dashboard/intents",
        "intents-claimable": "/admin/dashboard/intents?state=claimable&namespace=default",
        "intents-none": "/admin/dashboard/intents?goal=no-such-goal&worker=nobody",
        "intents-hostile": f"/admin/dashboard/intents?goal={hostile}&worker={hostile}&error={hostile}&note={hostile}",
        "intents-long": "/admin/dashboard/intents?error=fired",
        **{f"intent-{name}": path for name, path in detail.items()},
        "dead": "/admin/dashboard/dead",
        "dead-filtered": "/admin/dashboard/dead?goal=sync-crm&since=2020-01-01T00%3A00",
        "redrive": "/admin/dashboard/dead/redrive?goal=sync-crm",
        "redrive-none": "/admin/dashboard/dead/redrive?goal=nothing",
        "workers": "/admin/dashboard/workers",
        "pauses": "/admin/dashboard/pauses",
        "keys": "/admin/dashboard/keys",
        "key": f"/admin/dashboard/keys/{it['key']}",
        "audit": "/admin/dashboard/audit",
        "purge": "/admin/dashboard/purge",
    }


DETAILS = ("fulfilled", "dead", "claimed", "delayed", "backing_off", "target", "capable", "hostile", "hostile_dead", "hostile_result")
# Answers of 400 and more are pages, too.
FAILURES = {
    "failure-not-found": ("/admin/dashboard/intents/" + "0" * 32, 404),
    "failure-typed": ("/admin/dashboard/intents?tenant=none&state=nowhere", 400),
    "failure-no-page": ("/admin/dashboard/keys/seven", 404),
}


def walk(browser: Browser, bus: Bus, password: str, it: dict, account: Account, folder: Path) -> int:
    """Every page at every width in every scheme. Gives the number of screenshots."""
    shots = 0
    for size in WIDTHS:
        for scheme in SCHEMES:
            context = open_context(browser, password, size, scheme, account)
            page = context.new_page()
            wanted = {name: (path, 200) for name, path in paths(it).items()} | FAILURES
            for name, (path, status) in wanted.items():
                account.expected = {status} if status >= 400 else set()
                answer = page.goto(bus.url + path)
                assert answer.status == status, f"{path}: {answer.status}"
                if name == "overview":
                    page.locator("#live.on").wait_for()
                look_at(page, account, f"{name}, {size}, {scheme}")
                page.screenshot(path=folder / f"{name}.{size}.{scheme}.png", full_page=True)
                shots += 1
            account.expected = set()
            context.close()
    return shots


def hostile_text_is_text(browser: Browser, bus: Bus, password: str, it: dict, account: Account) -> None:
    """It is there, to the letter, and nowhere as anything else (which `look_at` sees to)."""
    context = open_context(browser, password, "desktop", "light", account)
    page = context.new_page()
    for name in ("hostile", "hostile_dead"):
        page.goto(f"{bus.url}/admin/dashboard/intents/{it[name]}")
        assert HOSTILE in page.locator("h1").inner_text()
        assert HOSTILE in page.locator("pre.error").inner_text()
    page.goto(f"{bus.url}/admin/dashboard/intents/{it['hostile']}")
    payload = page.locator("pre[aria-labelledby=h-payload]").inner_text()
    assert "1e-300" in payload and str(10**40) in payload and "\\u202e\\ud800" in payload, payload
    page.goto(f"{bus.url}/admin/dashboard/intents/{it['hostile_result']}")
    assert page.locator("pre[aria-labelledby=h-result]").inner_text() == HOSTILE
    page.goto(f"{bus.url}/admin/dashboard/intents?goal={quote(HOSTILE)}")
    assert page.locator("input[name=goal]").input_value() == HOSTILE
    page.goto(f"{bus.url}/admin/dashboard/pauses?namespace={quote(HOSTILE)}&goal={quote(HOSTILE)}")
    page.get_by_role("button", name="Pause", exact=True).click()
    assert HOSTILE in page.locator("dialog[open] [data-field=goal]").inner_text()
    look_at(page, account, "a dialog with hostile fields")
    page.goto(f"{bus.url}/admin/dashboard?note={quote(HOSTILE)}")
    assert page.locator(".note").count() == 0, "a note that is not ours is not shown"
    context.close()


def keyboard(browser: Browser, bus: Bus, password: str, it: dict, account: Account) -> int:
    """Everything can be reached by Tab and shows that it is; the first is the way past the navigation."""
    tried = 0
    for size in WIDTHS:
        context = open_context(browser, password, size, "light", account)
        page = context.new_page()
        for name, path in paths(it).items():
            # A stream would put new elements in the place of those that are looked for.
            page.route("**/admin/events", lambda route: route.abort())
            page.route("**/admin/dashboard/parts", lambda route: route.fulfill(json={}))
            account.expected, before = set(), len(account.console)
            page.goto(bus.url + path)
            missing = tab_through(page)
            assert not missing, f"{name}, {size}: {missing}"
            del account.console[before:]
            tried += 1
        page.goto(f"{bus.url}/admin/dashboard/keys")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main"
        # A dialog: opened, left by Escape, and the focus is where it was.
        page.get_by_role("button", name="New key…").focus()
        page.keyboard.press("Enter")
        assert page.locator("dialog#create[open]").count() == 1
        for _ in range(30):
            page.keyboard.press("Tab")
            inside = page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
            assert inside, "the focus stays in the dialog"
        look_at(page, account, f"the dialog of a new key, {size}")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert page.evaluate("document.activeElement.dataset.opens") == "create"
        context.close()
    return tried


def times_are_the_readers(browser: Browser, bus: Bus, password: str, it: dict, account: Account) -> None:
    context = open_context(browser, password, "desktop", "light", account, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(f"{bus.url}/admin/dashboard/intents/{it['fulfilled']}")
    shown = page.locator(".timeline time").first
    at = datetime.fromisoformat(shown.get_attribute("datetime").replace("Z", "+00:00"))
    assert at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%H:%M:%S") in shown.inner_text(), shown.inner_text()
    assert "Asia/Tokyo" in page.locator("footer").inner_text()
    # What is typed is of that zone; what is sent is UTC; what comes back is of that zone again.
    page.goto(f"{bus.url}/admin/dashboard/intents")
    page.locator("input[name=since]").fill("2026-01-31T09:30:00")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**since=2026-01-31T00*")
    assert page.locator("input[name=since]").input_value().startswith("2026-01-31T09:30")
    context.close()


def many_tabs(browser: Browser, bus: Bus, password: str, account: Account) -> None:
    """A browser has six connections for a host. Tabs that nobody looks at keep none, and go on when they are looked at."""
    context = open_context(browser, password, "desktop", "light", account)
    show = """(hidden) => {
        Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    tabs = []
    for _ in range(9):
        tab = context.new_page()
        tab.goto(f"{bus.url}/admin/dashboard")
        tab.locator("#live.on").wait_for()
        tab.evaluate(show, True)
        tabs.append(tab)
    with tabs[0].expect_request("**/admin/events"):
        tabs[0].evaluate(show, False)
    tabs[0].locator("#live.on").wait_for()
    context.close()


def without_script(browser: Browser, bus: Bus, password: str, it: dict) -> None:
    context = open_context(browser, password, "desktop", "light", None, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{bus.url}/admin/dashboard")
    assert "UTC" in page.locator("#live").inner_text()
    assert page.get_by_role("link", name="Reload").is_visible()
    assert page.locator(".chart path.line").count() == 4
    victim = bus.publish("no-script")
    page.goto(f"{bus.url}/admin/dashboard/intents/{victim}")
    page.get_by_role("button", name="Cancel the intent").click()
    assert "cancelled" in page.locator(".note").inner_text()
    assert bus.state(victim) == "dead"
    context.close()
