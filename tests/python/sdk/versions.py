"""The published versions of the SDK and the copies of them on disk. How to drive a version is in `adapters`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "intent-bus"
PUBLISHED = "1.0.0 1.0.1 1.0.2 1.1.0 1.1.1 1.2.0 1.3.0 1.3.1 1.3.2 2.0.3 2.0.4 2.1.0 2.1.1 2.1.2".split()

# Versions from here on use dataclass features of Python 3.10, and pip refuses to install them on an older one.
NEEDS_PYTHON_3_10 = (2, 0, 0)

# Written last, so that an installation which was cut short is not taken for a complete one.
MARKER = ".complete"


def parse(version: str) -> tuple[int, ...]:
    """`"1.3.2"` as `(1, 3, 2)`, which compares as versions do."""
    return tuple(int(part) for part in version.split("."))


def fetch(version: str, sdk_dir: Path) -> Path:
    """The folder with this version as published; from the network once, from `sdk_dir` ever after.

    Raises `RuntimeError` with pip's own words when the package cannot be had.
    """
    home = sdk_dir / version
    if (home / MARKER).exists():
        return home
    if parse(version) >= NEEDS_PYTHON_3_10 and sys.version_info < (3, 10):
        raise RuntimeError(f"{PACKAGE} {version} needs Python 3.10 or newer")

    sdk_dir.mkdir(parents=True, exist_ok=True)
    # Installed beside its place and then renamed: another run may be filling the same cache.
    staging = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=sdk_dir))
    try:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--no-compile", "--target", str(staging), f"{PACKAGE}=={version}"]
        pip = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if pip.returncode != 0:
            raise RuntimeError(f"pip could not install {PACKAGE}=={version}: {pip.stderr.strip()[-500:]}")
        (staging / MARKER).touch()
        return _settle(staging, home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _settle(staging: Path, home: Path) -> Path:
    if home.exists() and not (home / MARKER).exists():
        shutil.rmtree(home, ignore_errors=True)
    try:
        os.replace(staging, home)
    except OSError:
        # Another run was faster. Its copy is as good as ours, if it is complete.
        if not (home / MARKER).exists():
            raise
    return home
