"""What another site's page can do with the browser of an operator who is signed in: nothing."""

from __future__ import annotations

import http.server
import socket
import threading
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from .browser import Account, open_context
from .bus import Bus, wait_for


class Elsewhere:
    """Another site, on a port of its own, that serves one page."""

    def __init__(self) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(site.page.encode())

            def log_message(self, *_) -> None:
                pass

        self.page = ""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        # Another host, so that it is another site and not another port of this one.
        self.url = f"http://localhost:{self.server.server_port}/"


def forms_of_other_sites_fail(browser: Browser, bus: Bus, password: str) -> int:
    """A form and a script of another site's page, with and without a token that another page of ours has shown."""
    victim, elsewhere, tried = bus.publish("victim"), Elsewhere(), 0
    context = open_context(browser, password, "desktop", "light", None)
    page = context.new_page()
    page.goto(f"{bus.url}/admin/dashboard/intents/{victim}")
    token = page.locator("input[name=token]").first.get_attribute("value")
    action = f"{bus.url}/admin/dashboard/intents/{victim}/cancel"
    for given in ("", "0.AA.AA", token):
        elsewhere.page = f"""<form id=f method=post action="{action}"><input name=token value="{given}"></form>
            <script>document.getElementById('f').submit()</script>"""
        page.goto(elsewhere.url)
        page.wait_for_url(action)
        assert "Not allowed" in page.locator("h1").inner_text()
        assert bus.state(victim) == "open"
        elsewhere.page = f"""<script>fetch("{action}", {{method: "POST", mode: "no-cors", credentials: "include",
            headers: {{"Content-Type": "application/x-www-form-urlencoded"}}, body: "token={given}"}})
            .finally(() => document.title = "sent")</script>"""
        page.goto(elsewhere.url)
        page.wait_for_function("document.title === 'sent'")
        assert bus.state(victim) == "open"
        tried += 2
    # In a frame nobody is made to click.
    elsewhere.page = f"<iframe src='{bus.url}/admin/dashboard'></iframe>"
    page.goto(elsewhere.url)
    wait_for("the frame", lambda: len(page.frames) == 2)
    page.wait_for_timeout(500)
    assert "Overview" not in (page.frames[1].content() if page.frames[1].url.startswith(bus.url) else "")
    # From a page of ours, with the token changed by a letter.
    page.goto(f"{bus.url}/admin/dashboard/intents/{victim}")
    page.evaluate("document.querySelector('#cancel input[name=token]').value += 'x'")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the intent").click()
    assert "not one of the dashboard's" in page.locator(".problem").inner_text()
    assert bus.state(victim) == "open"
    # Over plain HTTP on a name, browsers do not say whose page it is, but for its origin.
    context.close()
    named = browser.new_context(http_credentials={"username": "admin", "password": password})
    page = named.new_page()
    page.goto(f"http://bus.test:{urlsplit(bus.url).port}/admin/dashboard/intents/{victim}")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the intent").click()
    page.locator(".note").wait_for()
    assert bus.state(victim) == "dead", "and our own forms go through there"
    named.close()
    return tried + 2


def without_a_password_nothing_is_shown(browser: Browser, bus: Bus) -> None:
    context = browser.new_context(http_credentials={"username": "admin", "password": "wrong"})
    page = context.new_page()
    answer = page.goto(f"{bus.url}/admin/dashboard")
    assert answer.status == 401
    context.close()


def too_many_streams(browser: Browser, bus: Bus, password: str, account: Account) -> None:
    """When the replica has no place for one more stream, the page says so and asks now and then."""
    there = urlsplit(bus.url)
    token = bus.admin["X-Admin-Token"]
    ask = f"GET /admin/events HTTP/1.1\r\nHost: {there.netloc}\r\nX-Admin-Token: {token}\r\n\r\n".encode()
    streams = []
    for _ in range(64):
        stream = socket.create_connection((there.hostname, there.port), timeout=10)
        stream.sendall(ask)
        assert stream.recv(12).startswith(b"HTTP/1.1 200"), "a place"
        streams.append(stream)
    context = open_context(browser, password, "desktop", "light", account)
    account.expected = {503}
    page = context.new_page()
    page.goto(f"{bus.url}/admin/dashboard")
    page.locator("#live.slow", has_text="Too many dashboards").wait_for()
    account.expected = set()
    for stream in streams:
        stream.close()
    context.close()
