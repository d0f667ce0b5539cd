"""Every action, as an operator does it: the dialog or the page that asks, what it says, and what the bus says afterwards."""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from .browser import Account, look_at, open_context
from .bus import Bus, wait_for


def note(page: Page) -> str:
    said = page.locator(".note")
    said.wait_for()
    # The address forgets it, so that it is said once.
    page.wait_for_url(lambda url: "note=" not in url)
    return said.inner_text()


def act(browser: Browser, bus: Bus, password: str, size: str, account: Account, folder) -> list[str]:
    """Gives the names of the actions that were done."""
    context = open_context(browser, password, size, "light", account)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=bus.url)
    page = context.new_page()
    done = []
    for action in (cancel, retry, redrive, pause, keys, purge):
        action(page, bus, size, account, folder)
        done.append(action.__name__)
    context.close()
    return done


def snap(page: Page, account: Account, name: str, size: str, folder) -> None:
    look_at(page, account, f"{name}, {size}")
    page.screenshot(path=folder / f"{name}.{size}.light.png")


def cancel(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    victim = bus.publish("to-be-cancelled")
    page.goto(f"{bus.url}/admin/dashboard/intents/{victim}")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Leave it").click()
    assert bus.state(victim) == "open", "who thinks better of it changes nothing"
    page.get_by_role("button", name="Cancel…").click()
    assert "becomes a dead letter" in page.locator("dialog[open]").inner_text()
    snap(page, account, "dialog-cancel", size, folder)
    page.get_by_role("button", name="Cancel the intent").click()
    assert "cancelled" in note(page)
    assert bus.state(victim) == "dead"
    snap(page, account, "cancelled", size, folder)
    page.reload()
    assert page.locator(".note").count() == 0, "loading it again says nothing again"


def retry(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    victim = bus.die("to-be-retried", "no paper")
    page.goto(f"{bus.url}/admin/dashboard/dead?goal=to-be-retried")
    page.get_by_role("link", name="Retry…").first.click()
    page.locator("dialog#retry[open]").wait_for()
    page.get_by_role("button", name="Retry the intent").click()
    assert "open again" in note(page)
    assert bus.state(victim) == "open"
    assert "Why it is not claimed" in page.locator("main").inner_text()
    bus.finish("fulfill", bus.claim("to-be-retried"), result=1)


def redrive(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    goal = f"redriven-{size}"
    victims = [bus.die(goal, f"out of ink, try {number}") for number in range(4)] + [bus.die(goal, "other")]
    page.goto(f"{bus.url}/admin/dashboard/dead?goal={goal}")
    page.locator("input[name=error]").fill("OUT OF INK")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Put these back…").click()
    page.get_by_label("Due in each second").fill("2")
    page.get_by_role("button", name="Look again").click()
    said = page.locator("section[aria-labelledby=h-what]").inner_text()
    assert "4 dead letters" in said and "2 more each second" in said, said
    assert all(bus.state(victim) == "dead" for victim in victims), "a look changes nothing"
    snap(page, account, "redrive-four", size, folder)
    page.get_by_role("button", name="Put 4 back").click()
    assert "4 dead letters put back" in note(page)
    assert [bus.state(victim) for victim in victims] == ["open"] * 4 + ["dead"]


def pause(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    # On the overview of somebody else it shows by itself.
    other = page.context.new_page()
    other.goto(f"{bus.url}/admin/dashboard")
    other.locator("#live.on").wait_for()
    page.goto(f"{bus.url}/admin/dashboard/pauses")
    page.locator("input[name=goal]").fill("sync-crm")
    page.get_by_role("button", name="Pause", exact=True).click()
    said = page.locator("dialog[open]").inner_text()
    assert "sync-crm" in said and "default" in said
    page.get_by_role("button", name="Leave it").click()
    assert bus.pauses() == []
    page.get_by_role("button", name="Pause", exact=True).click()
    snap(page, account, "dialog-pause", size, folder)
    page.get_by_role("button", name="Pause it").click()
    assert "is paused" in note(page)
    assert [one["goal"] for one in bus.pauses()] == ["sync-crm"]
    other.locator("[data-part=pauses]", has_text="sync-crm").wait_for()
    other.locator("[data-part=attention]", has_text="1 pause in force").wait_for()
    assert other.evaluate("performance.getEntriesByType('navigation').length") == 1
    snap(page, account, "paused", size, folder)
    page.get_by_role("button", name="Resume…").click()
    page.get_by_role("button", name="Resume", exact=True).click()
    assert "goes on" in note(page)
    assert bus.pauses() == []
    other.locator("[data-part=pauses]", has_text="Nothing").wait_for()
    other.close()


def keys(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    page.goto(f"{bus.url}/admin/dashboard/keys")
    page.get_by_role("button", name="New key…").click()
    page.get_by_label("Owner").fill(f"carol-{size}")
    page.get_by_label("values").uncheck()
    page.get_by_label("Namespaces").fill("east, west")
    snap(page, account, "dialog-key", size, folder)
    page.get_by_role("button", name="Make the key").click()
    made = page.locator(".secret code").inner_text()
    page.get_by_role("button", name="Copy key").click()
    assert wait_for("the clipboard", lambda: page.evaluate("navigator.clipboard.readText()")) == made
    snap(page, account, "made", size, folder)
    carol = {"X-API-KEY": made}
    bus.call("POST", "/intent", carol, 201, json={"goal": "g", "payload": {}, "namespace": "east"})
    bus.call("POST", "/intent", carol, 403, json={"goal": "g", "payload": {}})
    bus.call("POST", "/set/x", carol, 403, json={"value": 1})
    count = len(bus.keys())
    page.reload()
    assert len(bus.keys()) == count, "loading it again makes no second key"
    assert made not in page.content(), "and does not show it again"

    page.get_by_role("link", name=str(bus.keys()[0]["id"]), exact=True).click()
    page.get_by_label("values").check()
    page.get_by_label("Namespaces").fill("")
    page.get_by_role("button", name="Change", exact=True).first.click()
    assert "all namespaces" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Change it").click()
    assert "reaches was changed" in note(page)
    wait_for("the new scope", lambda: bus.call("POST", "/set/x", carol, None, json={"value": 1}) == {"ok": True})
    page.get_by_label("Requests a minute").fill("7")
    page.get_by_role("button", name="Change", exact=True).last.click()
    assert "7" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Change them").click()
    assert "limits" in note(page)
    assert bus.keys()[0]["rate_limit_per_minute"] == 7

    page.get_by_role("button", name="Rotate…").click()
    page.get_by_label("The old key goes on for").select_option("3600")
    page.get_by_role("button", name="Make the new key").click()
    assert "an hour" in page.locator("main").inner_text()
    rotated = page.locator(".secret code").inner_text()
    assert rotated != made
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("button", name="Revoke…").click()
    snap(page, account, "dialog-revoke", size, folder)
    page.get_by_role("button", name="Revoke the key").click()
    assert "revoked" in note(page)
    bus.call("GET", "/get/x", {"X-API-KEY": rotated}, 401)


def purge(page: Page, bus: Bus, size: str, account: Account, folder) -> None:
    victim, spared = bus.publish("g", namespace=f"doomed-{size}"), bus.publish("spared")
    page.goto(f"{bus.url}/admin/dashboard/purge")
    page.get_by_label("Namespace, or").fill(f"doomed-{size}")
    page.get_by_label("Once more").fill("default")
    account.expected = {400}
    page.get_by_role("button", name="Delete for ever").click()
    page.get_by_role("button", name="Delete them").click()
    page.locator(".problem", has_text="Nothing was deleted").wait_for()
    snap(page, account, "failure-purge", size, folder)
    account.expected = set()
    page.go_back()
    page.get_by_label("Namespace, or").fill(f"doomed-{size}")
    page.get_by_label("Once more").fill(f"doomed-{size}")
    page.get_by_role("button", name="Delete for ever").click()
    assert f"doomed-{size}" in page.locator("dialog[open]").inner_text()
    snap(page, account, "dialog-purge", size, folder)
    page.get_by_role("button", name="Delete them").click()
    assert "1 unfinished intent" in note(page)
    bus.call("GET", f"/admin/intents/{victim}", bus.admin, 404)
    assert bus.state(spared) == "open"
