# SPDX-License-Identifier: GPL-2.0-only
"""Signing and verifying a whole distribution's modules, against the kernel tree's sign-file.

All of it is one after the other in one run, over the modules of linux-image (their own signatures taken off), with a
new RSA-2048 key; and with an RSA-4096 key, against what OpenSSL says that all processors can sign.

Each signs a copy that was made before all of it, after a pause: ext4 looks through the inodes that were freed in the
last minute whenever it makes a file (fs/ext4/ialloc.c: recently_deleted), so that a peer would pay for what the one
before it replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.signing.trailer import without_signatures
from tests.bench_rows import BenchReport
from tests.support.keys import write_pair
from tests.support.shipped_modules import shipped

_LATELY = 62
"""Seconds; the kernel's RECENTCY_MIN is 60."""


def sign_rows(report: BenchReport, tree: KernelTree) -> None:
    """Add the rows to the report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        place = Path(scratch).resolve()
        pair = write_pair(place, "rsa2048")
        count = 0
        for name, path in shipped(tree):
            target = place / f"unsigned/{name}.ko"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(without_signatures(path.read_bytes()))
            count += 1
        program = str(tree.objects / "scripts/sign-file")
        words = [program, "sha256", str(pair), str(pair)]
        times = {}
        for peer in ("loop", "xargs", "ours", "large"):
            shutil.copytree(place / "unsigned", place / peer)
        for peer in ("loop", "xargs", "ours", "verify"):
            if peer != "verify":
                _pause()
            listing = "\0".join(str(path) for path in sorted((place / peer).rglob("*.ko")))
            began = time.perf_counter()
            if peer == "loop":
                for module in listing.split("\0"):
                    subprocess.run([*words, module], check=True)
            elif peer == "xargs":
                subprocess.run(["xargs", "-0", "-n1", "-P2", *words], input=listing.encode(), check=True)
            elif peer == "ours":
                _ours("sign", place / "ours", "--key", pair, "--hash", "sha256", "-q")
            else:
                _ours("verify", place / "ours", "--cert", pair, "--format", "json")
            times[peer] = time.perf_counter() - began
        times["large"] = _large_key(place)
        times["openssl"] = count / _openssl_speed()
        for name, ours, theirs, limit in (
            (f"sign {count} modules / sign-file", "ours", "loop", 0.12),
            (f"sign {count} modules / xargs -P2", "ours", "xargs", 0.4),
            (f"sign {count}, RSA-4096 / openssl speed", "large", "openssl", 1.1),
            (f"verify {count} modules / signing", "verify", "ours", 0.5),
        ):
            report.ratio(name, [times[theirs]], [times[ours]], limit)


def _large_key(place: Path) -> float:
    """Seconds for all modules with an RSA-4096 key."""
    pair = write_pair(place, "rsa4096")
    _pause()
    began = time.perf_counter()
    _ours("sign", place / "large", "--key", pair, "--hash", "sha256", "-q")
    return time.perf_counter() - began


def _pause() -> None:
    """Wait until nothing is to be written, and no inode was freed lately."""
    subprocess.run(["sync"], check=True)
    time.sleep(_LATELY)


def _openssl_speed() -> float:
    """RSA-4096 signatures in a second, on all processors."""
    words = ["openssl", "speed", "-seconds", "5", "-multi", str(os.cpu_count()), "rsa4096"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^rsa 4096 bits\s+\S+\s+\S+\s+([\d.]+)", said, re.MULTILINE)
    assert found, said
    return float(found[1])


def _ours(*words: str | Path) -> None:
    argv: Sequence[str | Path] = [sys.executable, "-m", "kbuildpy", *words]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
