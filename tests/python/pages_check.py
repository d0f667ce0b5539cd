#!/usr/bin/env python3
"""Walk the dashboard of a running bus with a real Chromium.

    pages_check.py --url http://127.0.0.1:5000 --root-key KEY --admin-token TOKEN --dashboard-password PASSWORD \
        [--screenshots FOLDER] [--chromium /usr/bin/chromium]

Fills the bus (never point this at one that matters), then opens every page at 1280 and 390 px in both colour schemes and
does every action at both widths. Expects: no error on the console, no request to elsewhere, no serious or critical finding
of axe-core, no page wider than its screen, everything in reach of the keyboard, hostile text shown as text, and forms of
other sites without effect. Exits with 1 if any of it does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from pages import act, attack, walk
from pages.browser import WIDTHS, Account
from pages.bus import Bus, fill


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("url", "root-key", "admin-token", "dashboard-password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--screenshots", type=Path, help="where to put them; without it they are thrown away")
    parser.add_argument("--only", default="", help="steps with this in their name")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    arguments.url = arguments.url.rstrip("/")
    return arguments


def main() -> int:
    arguments, began = parse(), time.monotonic()
    bus, account = Bus(arguments), Account(arguments.url)
    it = fill(bus)
    it["key"] = bus.keys()[-1]["id"]
    password = arguments.dashboard_password
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as thrown_away:
        folder = arguments.screenshots or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        # As root, as in a container, Chromium has no sandbox. `bus.test` is a name for a bus that is not this machine's own.
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP bus.test 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=flags)
        print(f"Chromium {browser.version}, {len(it)} kinds of intents, screenshots in {folder}")
        steps = {
            "every page, both widths, both schemes": lambda: walk.walk(browser, bus, password, it, account, folder),
            "hostile text is text": lambda: walk.hostile_text_is_text(browser, bus, password, it, account),
            "by keyboard": lambda: walk.keyboard(browser, bus, password, it, account),
            "times are the reader's": lambda: walk.times_are_the_readers(browser, bus, password, it, account),
            "without a script": lambda: walk.without_script(browser, bus, password, it),
            **{
                f"every action, {size}": lambda size=size: act.act(browser, bus, password, size, account, folder)
                for size in WIDTHS
            },
            "forms of other sites": lambda: attack.forms_of_other_sites_fail(browser, bus, password),
            "a wrong password": lambda: attack.without_a_password_nothing_is_shown(browser, bus),
            "many tabs": lambda: walk.many_tabs(browser, bus, password, account),
            "too many streams": lambda: attack.too_many_streams(browser, bus, password, account),
        }
        for name, step in ((name, step) for name, step in steps.items() if arguments.only in name):
            since = time.monotonic()
            outcome = step()
            print(f"{name}: {'ok' if outcome is None else outcome}, {time.monotonic() - since:.0f} s", flush=True)
        browser.close()
    problems = account.problems()
    for problem in problems:
        print(problem)
    print(
        f"{account.pages} looks at pages, {account.requests} requests: {len(account.console)} errors on the console, "
        f"{len(account.elsewhere)} requests elsewhere, {len(account.axe)} serious findings of axe, "
        f"{len(account.wide)} pages too wide, {len(account.alive)} scripts of clients; {time.monotonic() - began:.0f} s"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
