# SPDX-License-Identifier: GPL-2.0-only
"""Debians of their own, as debootstrap makes them, once for each suite and set of packages; tests change copies."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run


def own_codename() -> str:
    """The suite of this machine."""
    return run(["bash", "-c", ". /etc/os-release; echo $VERSION_CODENAME"]).text.strip()


def debian_root(codename: str, packages: Sequence[str]) -> Path:
    """A root of the suite `codename` with `packages`, and with this machine's way to the archive. Not to be changed.

    Skips the test without root or debootstrap, and where the suite cannot be had.
    """
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    mark = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    kept = cache_directory() / "roots" / f"{codename}-{mark}"
    if kept.is_dir():
        return kept
    sources = _sources(codename)
    mirror = next(uri for uri, name in sources if name == codename)
    scratch = kept.with_name(f".{codename}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    words = ["--variant=minbase", f"--include={','.join(('ca-certificates', *packages))}"]
    done = run(["debootstrap", *words, codename, scratch, mirror], check=False, timeout=900)
    if done.returncode:
        shutil.rmtree(scratch, ignore_errors=True)
        pytest.skip(f"debootstrap {codename}: {done.text[-300:]}")
    lines = [f"deb {uri} {name} main\n" for uri, name in sources]
    (scratch / "etc/apt/sources.list").write_text("".join(lines))
    for name in ("apt.conf.d", "auth.conf.d"):
        if Path("/etc/apt", name).is_dir():
            shutil.copytree(Path("/etc/apt", name), scratch / "etc/apt" / name, dirs_exist_ok=True)
    for file in ("etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf"):
        shutil.copy(Path("/", file), scratch / file)
    scratch.rename(kept)
    return kept


def _sources(codename: str) -> list[tuple[str, str]]:
    """Where apt has this machine's suite and its updates from, as places and names for the suite `codename`."""
    own = own_codename()
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)"]).text.splitlines()
    found = dict.fromkeys((uri, name) for uri, _, name in (line.partition(" ") for line in listed))
    wanted = (own, f"{own}-security", f"{own}-updates")
    return [(uri, name.replace(own, codename)) for uri, name in found if name in wanted]


OVERLAY = """set -e
mount -t tmpfs none "$1"; mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"; mount --bind /dev "$1/root/dev"; mount --bind "$3" "$1/root/mnt"
exec chroot "$1/root" /bin/bash /mnt/inner.sh
"""


def in_debian(root: Path, script: str, shared: Path, *, timeout: float = 900) -> tuple[int, str, str]:
    """Run a script of bash in a throw-away overlay over `root`, with the directory `shared` at /mnt; its exit status,
    its output, and its standard error. Skips the test where there is no overlay."""
    (shared / "inner.sh").write_text(script)
    overlay = shared / "overlay"
    overlay.mkdir()
    done = run(["unshare", "-m", "bash", "-c", OVERLAY, "sh", overlay, root, shared], check=False, timeout=timeout)
    overlay.rmdir()
    if "mount:" in done.error_text and not done.text:
        pytest.skip(f"no overlay here: {done.error_text.strip()}")
    return done.returncode, done.text, done.error_text
