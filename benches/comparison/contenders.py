"""Who is compared: how each is built, started and asked for its rate. One class for each way of running."""

import json
import os
import re
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import processes
from .postgres import Postgres, free_port

BENCHES = Path(__file__).resolve().parent.parent
PEERS = BENCHES / "peers"
VENV = PEERS / ".venv"
# Beyond the window itself: installing a schema, emptying the queue, shutting down.
PATIENCE = 120


class Contender:
    """One line of the table."""

    # What has to be there before the first round: a name that `prepare` knows.
    needs: str | None = None
    # How many connections it is tried with, where that is a matter of choice.
    connections_tried: tuple = (None,)

    def __init__(self, name: str):
        self.name = name

    def run(self, postgres: Postgres, database: str, seconds: float, begin: Callable[[], None]) -> dict:
        """Runs once in an empty database. Returns `jobs`, `jobs_per_second`, `client_cpu`, `server_cpu` (seconds).

        `work`, if it is there, is what the cost is divided by instead of `jobs`. `begin` is to be called once all is
        set up: the cost counts from there.
        """
        raise NotImplementedError

    def measure(self, postgres: Postgres, database: str, seconds: float) -> dict:
        """Runs once with each number of connections, and gives the best. Errors of the others are told, too."""
        results = []
        for connections in self.connections_tried:
            self.connections = connections
            results.append(self._measure(postgres, database, seconds))
        best = max(results, key=lambda result: result["jobs_per_second"])
        if errors := sum(result["errors"] for result in results):
            best["note"] += f", {errors} errors"
        return best

    def _measure(self, postgres: Postgres, database: str, seconds: float) -> dict:
        """Runs once in a database of its own, and works out what a job cost."""
        before = {}
        postgres.create(database)
        try:
            result = self.run(postgres, database, seconds, lambda: before.update(postgres.counters(database)))
            after = postgres.counters(database)
        finally:
            postgres.drop(database)
        jobs = max(result.get("work", result["jobs"]), 1)
        spent = {name: after[name] - before[name] for name in after}
        return {
            "jobs": result["jobs"],
            "jobs_per_second": result["jobs_per_second"],
            "note": result.get("note", ""),
            "errors": result.get("errors", 0),
            "cpu_us_per_job": {
                "server": 1e6 * result["server_cpu"] / jobs,
                "postgres": 1e6 * spent["cpu_seconds"] / jobs,
                "clients": 1e6 * result["client_cpu"] / jobs,
            },
            "transactions_per_job": spent["transactions"] / jobs,
            "wal_bytes_per_job": spent["wal_bytes"] / jobs,
        }


class Pgbench(Contender):
    """Three transactions of one row each, by as many clients as suit this machine best."""

    connections_tried = (4, 16, 32)

    def __init__(self, name: str, script: str):
        super().__init__(name)
        self.script = BENCHES / "pgbench" / script

    def run(self, postgres, database, seconds, begin):
        environment = postgres.environment()
        schema = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", BENCHES / "pgbench" / "schema.sql"]
        processes.run([postgres.programs / schema[0], *schema[1:]], 60, env=environment)
        begin()
        threads = min(self.connections, os.cpu_count() or 1)
        command = [postgres.programs / "pgbench", "-n", "-M", "prepared", "-f", self.script, "-c", self.connections]
        command += ["-j", threads, "-T", max(round(seconds), 1), database]
        output, cpu = processes.run(command, seconds + PATIENCE, env=environment)
        jobs = int(re.search(r"actually processed: (\d+)", output)[1])
        rate = float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)[1])
        note = f"{self.connections} clients"
        return {"jobs": jobs, "jobs_per_second": rate, "client_cpu": cpu, "server_cpu": 0, "note": note}


class Bus(Contender):
    """Intent Bus: replicas of this tree's release build, and its own load generator."""

    needs = "bus"
    binary = BENCHES.parent / "target" / "release" / "intent-bus"

    # Connections for each replica: single requests share statements, so there have to be many. A third of them publish, since a
    # worker makes two requests for a job. With three replicas the smaller number makes more of two cores.
    CONNECTIONS = (256, 512)
    # A connection that sends batches keeps a replica as busy as hundreds that do not.
    BATCH_CONNECTIONS = 4

    def __init__(self, name: str, replicas: int, signed: bool, batch: int = 1):
        super().__init__(name)
        self.replicas = replicas
        self.signed = signed
        self.batch = batch
        single = tuple(number * replicas for number in self.CONNECTIONS)
        self.connections_tried = single if batch == 1 else (self.BATCH_CONNECTIONS,)

    def run(self, postgres, database, seconds, begin):
        secret = secrets.token_hex(16)
        started, urls = [], []
        try:
            for _ in range(self.replicas):
                port = free_port()
                urls.append(f"http://127.0.0.1:{port}")
                started.append(self._serve(postgres.url(database), secret, port))
            for url, process in zip(urls, started, strict=True):
                processes.wait_until(lambda url=url: _answers(f"{url}/readyz"), process, 60, "intent-bus serve")
            begin()
            before = sum(processes.cpu_seconds(process.pid) for process in started)
            command = [self.binary, "bench", "--url", ",".join(urls), "--key", secret, "--seconds", seconds]
            publishers = self.connections // 3 if self.batch == 1 else self.connections
            workers = self.connections - publishers if self.batch == 1 else self.connections
            command += ["--publishers", publishers, "--workers", workers]
            command += ["--window", max(2000, 40 * self.batch), "--warmup", 0, "--batch", self.batch, "--sign" if self.signed else "--no-sign", "--json"]
            output, cpu = processes.run(command, seconds + PATIENCE)
            server = sum(processes.cpu_seconds(process.pid) for process in started) - before
        finally:
            for process in started:
                processes.stop(process)
        result = json.loads(output)
        operations = result["operations"].values()
        errors = sum(operation["errors"] for operation in operations)
        return {
            "jobs": result["cycles"],
            # Publishing is ahead of fulfilling when the time is up. A third of a job for each operation.
            "work": sum(operation["intents"] for operation in operations) / 3,
            "jobs_per_second": result["cycles_per_second"],
            "client_cpu": cpu,
            "server_cpu": server,
            "note": f"{publishers} + {workers} connections",
            "errors": errors,
        }

    def _serve(self, url, secret, port, under=(), settings=None):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BUS_")}
        environment |= {"DATABASE_URL": url, "BUS_SECRET": secret, "BUS_LISTEN": f"127.0.0.1:{port}"}
        environment |= {"BUS_METRICS_LISTEN": "off", "BUS_LOG": "warn"} | (settings or {})
        return processes.start([*under, self.binary, "serve"], env=environment, stdout=subprocess.DEVNULL)


class Program(Contender):
    """A peer: a program of ours around its library, which prints one line of JSON."""

    def __init__(self, name: str, needs: str, *command):
        super().__init__(name)
        self.needs = needs
        self.command = command

    def run(self, postgres, database, seconds, begin):
        environment = os.environ | {"DATABASE_URL": postgres.url(database)}
        command = [*self.command, "--seconds", seconds]
        begin()
        output, cpu = processes.run(command, seconds + PATIENCE, env=environment)
        result = json.loads(output.splitlines()[-1])
        note = f"{result['version']}: {result['mode']}"
        jobs, rate = result["jobs"], result["jobs_per_second"]
        return {"jobs": jobs, "jobs_per_second": rate, "client_cpu": cpu, "server_cpu": 0, "note": note}


RELEASE = PEERS / "target" / "release"
PYTHON = VENV / "bin" / "python"
# The first is what the ratios are to.
ALL = [
    Pgbench("pgbench-nonces", "cycle_nonces.sql"),
    Pgbench("pgbench-plain", "cycle.sql"),
    Bus("bus-1-signed", 1, signed=True),
    Bus("bus-1-unsigned", 1, signed=False),
    Bus("bus-3-signed", 3, signed=True),
    Bus("bus-3-unsigned", 3, signed=False),
    Bus("bus-1-batch500-signed", 1, signed=True, batch=500),
    Program("graphile_worker", "peers", RELEASE / "graphile-bench"),
    Program("awa-256", "peers", RELEASE / "awa-bench"),
    Program("awa-1024", "peers", RELEASE / "awa-bench", "--workers", "1024", "--partitions", "2"),
    Program("pgqueuer", "python", PYTHON, PEERS / "pgqueuer_bench.py"),
    Program("procrastinate", "python", PYTHON, PEERS / "procrastinate_bench.py"),
]


def prepare(needs: set[str]) -> None:
    """Builds what the contenders need. Fast when it is there."""
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    if "bus" in needs:
        subprocess.run(cargo, cwd=BENCHES.parent, check=True)
    if "peers" in needs:
        subprocess.run(cargo, cwd=PEERS, check=True)
    if "python" in needs:
        if not PYTHON.exists():
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", PEERS / "requirements.txt"], check=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
