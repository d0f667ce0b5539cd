"""The one Postgres that all contenders use, private to the run: its start, its databases, its counters."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from . import processes

# The same for all. What is durable stays as it is by default: fsync and synchronous_commit are on.
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "200"}
USER = "bench"


class Postgres:
    """A server in a temporary folder, on a loopback port and a Unix socket."""

    def __init__(self, parent: str | None):
        self.programs = _programs()
        # Postgres refuses to run as root.
        owner = _unprivileged() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="bus-compare-", dir=parent))
        self.port = free_port()
        self.process = None
        as_owner = {}
        if owner:
            shutil.chown(self.folder, owner.pw_uid, owner.pw_gid)
            as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        try:
            initdb = [self.programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
            processes.run(initdb, 120, cwd=self.folder, **as_owner)
            command = [self.programs / "postgres", "-D", data, "-p", self.port, "-k", self.folder, "-h", "127.0.0.1"]
            for name, value in SETTINGS.items():
                command += ["-c", f"{name}={value}"]
            with open(self.folder / "log", "wb") as log:
                self.process = processes.start(command, cwd=self.folder, stdout=log, stderr=log, **as_owner)
            ready = [self.programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
            processes.wait_until(lambda: subprocess.run(ready).returncode == 0, self.process, 60, "Postgres")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it and removes its folder."""
        if self.process:
            processes.stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict:
        """For programs that use libpq."""
        return os.environ | {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": USER}

    def url(self, database: str) -> str:
        """By loopback, which every contender's driver can do."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def query(self, sql: str, database: str = "postgres") -> list[str]:
        """The first row's columns."""
        psql = [self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]
        rows = subprocess.run(psql, env=self.environment(), check=True, capture_output=True, text=True).stdout
        return rows.splitlines()[0].split("|") if rows else []

    def create(self, database: str) -> None:
        """Makes an empty database, with nothing of the previous contender left to be written."""
        self.query(f"CREATE DATABASE {database}")
        self.query("CHECKPOINT")

    def drop(self, database: str) -> None:
        """Removes it, whoever is connected."""
        self.query(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def counters(self, database: str) -> dict:
        """What has been done so far. A backend reports its transactions at the latest when it ends."""
        transactions, wal = self.query(
            "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database"
            f" WHERE datname = '{database}'"
        )
        cpu = processes.cpu_seconds(self.process.pid)
        return {"transactions": int(transactions), "wal_bytes": int(wal), "cpu_seconds": cpu}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _programs() -> Path:
    """The folder with Postgres's programs, found as `intent-bus dev` finds it: BUS_PG_BIN, PATH, Debian's folders."""
    if named := os.environ.get("BUS_PG_BIN"):
        return Path(named)
    # Some systems put links to a few of them on the PATH; the others are where these lead.
    if (found := shutil.which("initdb")) and (folder := Path(found).resolve().parent).joinpath("pgbench").exists():
        return folder
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/pgbench")]
    if not versions:
        raise SystemExit("Postgres with pgbench was not found. Install it, or name its folder in BUS_PG_BIN.")
    return max(versions, key=lambda path: int(path.parent.name))


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SystemExit("Postgres does not run as root, and there is neither a user postgres nor a user nobody.")
