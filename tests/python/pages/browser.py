"""A browser that keeps account: errors on the console, requests to elsewhere, scripts that should not have run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
WIDTHS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
# Told of each page: text that would only be there if a script or an element of a client's had come to life.
COME_TO_LIFE = """() => {
  const found = [];
  for (const script of document.scripts) if (new URL(script.src).pathname !== '/admin/dashboard/script.js') found.push(script.outerHTML);
  for (const element of document.querySelectorAll('img, iframe, object, embed, base, style, link[rel=import]')) found.push(element.outerHTML);
  for (const element of document.querySelectorAll('*')) for (const attribute of element.attributes)
    if (attribute.name.startsWith('on') || attribute.name === 'style' || /^\\s*javascript:/i.test(attribute.value) && attribute.name === 'href') found.push(element.outerHTML.slice(0, 200));
  return found;
}"""


@dataclass
class Account:
    """What must stay empty."""

    origin: str
    console: list = field(default_factory=list)
    elsewhere: list = field(default_factory=list)
    alive: list = field(default_factory=list)
    axe: list = field(default_factory=list)
    wide: list = field(default_factory=list)
    requests: int = 0
    pages: int = 0
    # Statuses that a step provokes on purpose, and which the browser writes to its console.
    expected: set = field(default_factory=set)

    def watch(self, context: BrowserContext) -> None:
        context.on("request", self.request)
        context.on("console", self.said)
        context.on("weberror", lambda error: self.console.append(f"{error.page.url}: {error.error}"))
        context.on("dialog", lambda dialog: (self.alive.append(dialog.message), dialog.dismiss()))
        context.expose_function("fired", lambda: self.alive.append("a script of a client's has run"))

    def request(self, request) -> None:
        self.requests += 1
        there = urlsplit(request.url)
        if f"{there.scheme}://{there.netloc}" != self.origin and there.scheme not in ("data", "blob", "about"):
            self.elsewhere.append(request.url)

    def said(self, message) -> None:
        status = re.search(r"status of (\d+)", message.text)
        if message.type in ("error", "warning") and not (status and int(status[1]) in self.expected):
            self.console.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def problems(self) -> list[str]:
        kinds = {"console": self.console, "request elsewhere": self.elsewhere, "came to life": self.alive}
        kinds |= {"axe": self.axe, "wider than the screen": self.wide}
        return [f"{kind}: {what}" for kind, found in kinds.items() for what in found]


def open_context(browser: Browser, password: str, size: str, scheme: str, account: Account | None, **more):
    context = browser.new_context(
        viewport=WIDTHS[size],
        color_scheme=scheme,
        device_scale_factor=2 if size == "phone" else 1,
        has_touch=size == "phone",
        http_credentials={"username": "admin", "password": password},
        locale="en-GB",
        timezone_id=more.pop("timezone_id", "Europe/Berlin"),
        **more,
    )
    # For a machine on which all the other tests run as well.
    context.set_default_timeout(60_000)
    if account:
        account.watch(context)
    return context


def look_at(page: Page, account: Account, where: str) -> None:
    """What has to hold of every page as it stands."""
    account.pages += 1
    account.alive += [f"{where}: {found}" for found in page.evaluate(COME_TO_LIFE)]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        account.wide.append(f"{where}: by {wide} px")
    if page.viewport_size["width"] >= 1280:
        # A table that has to be scrolled sideways hides its last column, which is the error.
        hidden = page.evaluate("Array.from(document.querySelectorAll('.table'), (e) => e.scrollWidth - e.clientWidth)")
        account.wide += [f"{where}: a table, by {width} px" for width in hidden if width > 0]
    # Evaluated by the debugger, so that the page's policy stays as it is.
    page.evaluate(AXE + "; 0")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    for violation in found["violations"]:
        if violation["impact"] in ("serious", "critical"):
            nodes = "; ".join(f"{node['target']} {node['failureSummary']}" for node in violation["nodes"][:3])
            account.axe.append(f"{where}: {violation['id']}: {nodes}")


def tab_through(page: Page) -> list[str]:
    """Press Tab through a page. Gives what cannot be reached so, or does not show that it is."""
    wanted = page.evaluate(
        """() => {
      const focusable = 'a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, [tabindex="0"], summary';
      const seen = Array.from(document.querySelectorAll(focusable)).filter((e) => e.checkVisibility({checkVisibilityCSS: true}));
      seen.forEach((e, i) => { e.dataset.place = i; });
      document.activeElement?.blur?.();
      return seen.length;
    }"""
    )
    reached, unmarked = set(), []
    for _ in range(wanted + 25):
        page.keyboard.press("Tab")
        now = page.evaluate(
            """() => {
          const e = document.activeElement;
          const style = getComputedStyle(e);
          return [e.dataset.place ?? null, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1, e.outerHTML.slice(0, 120)];
        }"""
        )
        if now[0] is None:
            continue
        if not now[1]:
            unmarked.append(f"does not show its focus: {now[2]}")
        reached.add(int(now[0]))
        if len(reached) == wanted:
            break
    missing = page.evaluate(
        "(reached) => Array.from(document.querySelectorAll('[data-place]')).filter((e) => !reached.includes(Number(e.dataset.place))).map((e) => e.outerHTML.slice(0, 120))",
        sorted(reached),
    )
    return [f"cannot be reached: {element}" for element in missing] + unmarked
