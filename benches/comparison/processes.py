"""Starting, measuring and ending processes. Whatever is started here is ended here, by its id, whichever way we leave."""

import os
import signal
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_started: list[subprocess.Popen] = []


class RunFailed(Exception):
    """A contender's program failed or took too long. The others go on."""


def start(command: list, **options) -> subprocess.Popen:
    """Starts a process in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    process = subprocess.Popen([str(part) for part in command], start_new_session=True, **options)
    _started.append(process)
    return process


def stop(process: subprocess.Popen, patience: float = 15) -> None:
    """Ends a process by SIGINT, which all of ours take as the quick and clean way out, or else by SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            for child in tree(process.pid):
                _kill(child)
            process.wait()
    if process in _started:
        _started.remove(process)


def stop_all() -> None:
    """Ends what still runs, the latest first: clients before the Postgres that they use."""
    for process in reversed(_started.copy()):
        stop(process)


def run(command: list, timeout: float, **options) -> tuple[str, float]:
    """Runs a program to its end. Returns what it printed and the CPU seconds that it and its children took."""
    before = os.times()
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{Path(str(command[0])).name} took longer than {timeout:.0f} s") from None
    finally:
        stop(process)
    if process.returncode != 0:
        last = (errors.strip() or output.strip() or "it said nothing").splitlines()[-1]
        raise RunFailed(f"{Path(str(command[0])).name} ended with {process.returncode}: {last}")
    after = os.times()
    # Children count here once they have been waited for, and nothing else is waited for meanwhile.
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return output, cpu


def tree(root: int) -> list[int]:
    """The process and its descendants, children before parents."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found[::-1]


def cpu_seconds(root: int) -> float:
    """CPU that a process, its descendants and its dead children have taken so far."""
    ticks = 0
    for pid in tree(root):
        if fields := _stat(pid):
            ticks += sum(int(fields[place]) for place in (11, 12, 13, 14))  # utime, stime, cutime, cstime
    return ticks / TICKS


def wait_until(ready, process: subprocess.Popen, patience: float, what: str) -> None:
    """Waits until `ready()` holds, as long as the process lives."""
    deadline = time.monotonic() + patience
    while not ready():
        if process.poll() is not None:
            raise RunFailed(f"{what} ended with {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise RunFailed(f"{what} was not ready after {patience:.0f} s")
        time.sleep(0.05)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
