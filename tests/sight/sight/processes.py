"""A private Postgres, replicas on it, a Prometheus that scrapes them. What is started here is ended by `stop_all`."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from . import files

sys.path.insert(0, str(files.ROOT / "benches"))

from comparison import processes  # noqa: E402
from comparison.postgres import Postgres, free_port  # noqa: E402

__all__ = ["Postgres", "Prometheus", "Replica", "free_port", "stop_all"]

stop_all = processes.stop_all
ROOT_KEY = secrets.token_hex(24)
ADMIN_TOKEN = secrets.token_hex(24)
JOB = "intent-bus"
# So that leases lapse, the last attempts are buried, and expiry is seen within the run.
SETTINGS = {"BUS_CLAIM_TIMEOUT_SECONDS": "1", "BUS_CLEANUP_INTERVAL_SECONDS": "1", "BUS_WORKERS": "1"}


def fetch(url: str, headers: dict | None = None, patience: float = 30) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=patience) as answer:
        return answer.read().decode()


def answers(url: str) -> bool:
    try:
        fetch(url, patience=2)
    except OSError:
        return False
    return True


class Replica:
    """`intent-bus serve`, ready."""

    def __init__(self, binary: Path, database: str, log: Path):
        port, metrics = free_port(), free_port()
        self.address, self.target = f"127.0.0.1:{port}", f"127.0.0.1:{metrics}"
        self.url, self.metrics = f"http://{self.address}", f"http://{self.target}/metrics"
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database,
            "BUS_SECRET": ROOT_KEY,
            "BUS_ADMIN_SECRET": ADMIN_TOKEN,
            "BUS_LISTEN": self.address,
            "BUS_METRICS_LISTEN": self.target,
            **SETTINGS,
        }
        with open(log, "wb") as file:
            self.process = processes.start([binary, "serve"], env=self.environment, stdout=file, stderr=file)
        processes.wait_until(lambda: answers(f"{self.url}/readyz"), self.process, 60, "a replica")


class Prometheus:
    """Scrapes replicas each second, with the alerts loaded."""

    def __init__(self, targets: list[str], folder: Path):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(files.RULES)],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with open(folder / "prometheus.log", "wb") as log:
            self.process = processes.start(command, stdout=log, stderr=log)
        processes.wait_until(lambda: answers(f"{self.url}/-/ready"), self.process, 60, "Prometheus")

    def ask(self, path: str, **parameters) -> dict:
        """What its API answers."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            answer = json.loads(fetch(url))
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read())
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]

    def instant(self, expr: str) -> list[dict]:
        return self.ask("query", query=expr)["result"]

    def range(self, expr: str, start: float, end: float, step: int) -> list[dict]:
        return self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]
