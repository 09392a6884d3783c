# SPDX-License-Identifier: GPL-2.0-only
"""Packages of Debian built by dkms and by kbuildpy, by turns: the first build, a second one (`--force`), and all of
them at once (autoinstall). dkms wants root."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from tests.bench_rows import BenchReport
from tests.support.dkms_peer import dkms, dkms_conf, ours
from tests.support.keys import write_pair

PACKAGES = ("bbswitch-dkms", "acpi-call-dkms", "v4l2loopback-dkms", "ddcci-dkms", "evdi-dkms", "openvpn-dco-dkms")
_LIMIT = 1.2
_RUNS = 3
Peer = Callable[..., Completed]


def dkms_rows(report: BenchReport, tree: KernelTree, runs: int) -> None:
    """Add the rows to the report, of wall clock and of processors."""
    if os.geteuid() != 0:
        print("dkms: left out: dkms wants root")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        place = Path(scratch).resolve()
        pair = write_pair(place, "rsa2048")
        sources = {_package(path, tree): path.parent for path in map(dkms_conf, PACKAGES)}
        for name, source in sources.items():
            _alone(report, place, name, source, tree, pair, runs or _RUNS)
        _together(report, place, sources, tree, pair, runs or _RUNS)


def _alone(report: BenchReport, place: Path, name: str, source: Path, tree: KernelTree, pair: Path, runs: int) -> None:
    """The rows of one package."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(runs):
        for peer in (dkms, ours):
            home = _machine(place, [source], tree, pair)
            if not times and dkms("build", name, "-k", tree.release, home=home).returncode != 0:
                print(f"dkms {name}: left out: dkms does not build it for {tree.release}")
                return
            home = _machine(place, [source], tree, pair)
            for which, more in (("first", ()), ("again", ("--force",))):
                took = _took(peer, pair, "build", name, "-k", tree.release, *more, home=home)
                times.setdefault((which, peer.__name__), []).append(took)
    for which in ("first", "again"):
        _row(report, f"{name}, {which}", times[which, "dkms"], times[which, "ours"])


def _together(
    report: BenchReport, place: Path, sources: dict[str, Path], tree: KernelTree, pair: Path, runs: int
) -> None:
    """The rows of an autoinstall."""
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(runs):
        for peer in (dkms, ours):
            home = _machine(place, list(sources.values()), tree, pair)
            for name in sources:
                assert peer("add", name, "-k", tree.release, home=home).returncode == 0
            times.setdefault(peer.__name__, []).append(_took(peer, pair, "autoinstall", "-k", tree.release, home=home))
    _row(report, f"autoinstall of {len(sources)}", times["dkms"], times["ours"])


def _package(conf: Path, tree: KernelTree) -> str:
    return read_conf(conf, ConfKernel(tree.release, os.uname().machine, tree.objects, distribution())).identity


def _machine(place: Path, sources: list[Path], tree: KernelTree, pair: Path) -> Path:
    """A machine with the sources of packages, which both tools sign with one key."""
    home = place / "home"
    shutil.rmtree(home, ignore_errors=True)
    for source in sources:
        copy = home / "src" / source.name
        shutil.copytree(source, copy, symlinks=True)
        with (copy / "dkms.conf").open("a") as file:
            file.write(f"\nMOK_SIGNING_KEY={pair}\nMOK_CERTIFICATE={pair}\n")
    (home / "dkms").mkdir(parents=True)
    (home / "modules" / tree.release).mkdir(parents=True)
    return home


def _took(peer: Peer, pair: Path, *words: str, home: Path) -> tuple[float, float]:
    """Seconds of wall clock, and of processors."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = dkms(*words, home=home, key=(pair, pair)) if peer is dkms else ours(*words, home=home)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 11):
        raise SystemExit(f"{peer.__name__} {' '.join(words)} failed:\n{done.text}{done.error_text}"[-3000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _row(report: BenchReport, name: str, theirs: list[tuple[float, float]], ours: list[tuple[float, float]]) -> None:
    for index, unit in enumerate(("", " (CPU)")):
        dkms_took, we_took = ([each[index] for each in times] for times in (theirs, ours))
        report.ratio(f"dkms {name}{unit}", dkms_took, we_took, _LIMIT)
