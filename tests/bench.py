# SPDX-License-Identifier: GPL-2.0-only
"""`./run bench`: kbuildpy against make, alternately, on the same sources; prints ratios of medians.

A ratio below 1 means that kbuildpy is quicker. Both tools run as whole processes with as many jobs. Machines are
noisy: the two take turns, so that what slows one slows the other, and a figure is a median of several runs.
What a tool remembers of the kernel tree (kbuildpy's answer of the tree, the page cache) is warm for both; of the
module, a clean build remembers nothing.

`--history FILE` keeps the rows of each run, and `--html FILE` shows them as curves with their limits.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.files import replacing
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.tree import KernelTree
from tests.bench_check import check_rows
from tests.bench_dkms import dkms_rows
from tests.bench_modpost import modpost_rows
from tests.bench_new import new_rows
from tests.bench_page import as_page
from tests.bench_rows import BenchReport, BenchRun, add_to_history, read_history, this_run
from tests.bench_sign import sign_rows
from tests.support.packages import kernel_source, unpacked
from tests.support.samples import SAMPLES


@dataclass(frozen=True)
class Sources:
    """Something to build: `below` is the module directory, `touched` the source that is edited, both relative;
    `variables` go to either tool (`@` is the copy's place)."""

    name: str
    origin: Path
    below: str
    touched: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One line of the report: `prepare` puts a copy into the state that is measured; the ratio should not be
    above `limit`."""

    name: str
    sources: Sources
    prepare: Callable[[Path, Sources], None]
    limit: float
    runs: int


class Peer:
    """One of the two tools, with a copy of the sources of its own."""

    def __init__(self, name: str, sources: Sources, place: Path, tree: KernelTree, jobs: int) -> None:
        self.name, self.sources, self.place = name, sources, place
        directory = place / sources.below
        variables = [word.replace("@", str(place)) for word in sources.variables]
        make = ["make", "-s", f"-j{jobs}", "-C", str(tree.objects), f"M={directory}", *variables, "modules"]
        ours = [sys.executable, "-m", "kbuildpy", "build", str(directory), "-s", f"-j{jobs}"]
        self.argv = make if name == "make" else [*ours, "-k", str(tree.objects), *variables]
        self.lay_out()

    def lay_out(self) -> None:
        """A fresh copy of the sources."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.sources.origin, self.place)

    def build(self) -> float:
        """Run the tool; seconds."""
        began = time.perf_counter()
        done = subprocess.run(self.argv, capture_output=True, check=False, env=_environment())
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            sys.exit(f"{self.name} failed on {self.sources.name}:\n{done.stderr.decode(errors='replace')[-3000:]}")
        return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 0 when every ratio is within its limit."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Compare kbuildpy with make.")
    parser.add_argument("words", nargs="*", help="only the cases whose names contain one of these words")
    parser.add_argument("--runs", type=int, default=0, help="runs of each tool per case (default: by case)")
    parser.add_argument("-k", "--kernel", default="", help="release to build for (default: the oldest installed)")
    parser.add_argument(
        "--history", metavar="FILE", type=Path, help="add this run to FILE, a line of JSON for each run"
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        type=Path,
        help="write a page of this run and those in the history (or of these alone)",
    )
    parser.add_argument("--only-page", action="store_true", help="measure nothing: write the page of the history")
    args = parser.parse_args(argv)
    if args.only_page and not (args.html and args.history):
        parser.error("--only-page needs --html and --history")
    for file in filter(None, (args.html, args.history)):
        if not file.parent.is_dir():
            parser.error(f"{file.parent}: no such directory")
    earlier = read_history(args.history) if args.history else []
    if args.only_page:
        _write_page(args.html, earlier)
        return 0
    tree = _tree(args.kernel)
    report = BenchReport()
    _measure_all(report, tree, args)
    run = this_run(tree.release, report.rows)
    if args.history:
        add_to_history(args.history, run)
    if args.html:
        _write_page(args.html, [*earlier, run])
    return 1 if report.missed else 0


def _write_page(file: Path, runs: Sequence[BenchRun]) -> None:
    with replacing(file) as slot:
        slot.write(as_page(runs).encode())


def _measure_all(report: BenchReport, tree: KernelTree, args: argparse.Namespace) -> None:
    """Measure what `args` ask for."""
    jobs = 2
    print(f"for {tree.release}, -j{jobs}; seconds are medians; ratio = kbuildpy / make")
    print(f"{'case':<34} {'runs':>4} {'make':>8} {'kbuildpy':>8} {'ratio':>6} {'limit':>6}")
    for case in _cases(tree):
        if args.words and not any(word in case.name for word in args.words):
            continue
        theirs, ours = _measure(case, tree, jobs, args.runs or case.runs)
        report.ratio(case.name, theirs, ours, case.limit)
    if not args.words or any(word in "memory" for word in args.words):
        _memory(report, tree, jobs)
    if not args.words or any(word in "sign verify" for word in args.words):
        sign_rows(report, tree)
    if not args.words or any(word in "check" for word in args.words):
        check_rows(report, tree)
    if any(word in "dkms" for word in args.words):
        # (only when it is asked for: it takes minutes)
        dkms_rows(report, tree, args.runs)
    if not args.words or any(word in "new" for word in args.words):
        new_rows(report, tree)


def _cases(tree: KernelTree) -> list[Case]:
    hello = Sources("hello", SAMPLES / "hello", "", "hello.c")
    xtables_origin = next((unpacked("xtables-addons-dkms") / "usr/src").iterdir())
    xtables = Sources(
        "xtables-addons", xtables_origin, "extensions", "extensions/xt_ECHO.c", ("XA_ABSTOPSRCDIR=@", "XA_TOPSRCDIR=@")
    )
    serial = Sources("usb/serial", _source(tree) / "drivers/usb/serial", "", "belkin_sa.c")
    return [
        Case("nothing to do: hello", hello, _leave, 0.2, 11),
        Case("nothing to do: xtables-addons", xtables, _leave, 0.2, 9),
        Case("nothing to do: usb/serial", serial, _leave, 0.2, 9),
        Case("one touched source: hello", hello, _touch, 0.5, 7),
        Case("one touched source: xtables-addons", xtables, _touch, 0.5, 7),
        Case("one touched source: usb/serial", serial, _touch, 0.5, 7),
        Case("clean: hello", hello, _clean, 1.0, 9),
        Case("clean: usb/serial", serial, _clean, 0.95, 3),
    ]


def _source(tree: KernelTree) -> Path:
    """The sources of the tree's line, whose directories build as external modules."""
    return kernel_source(".".join(map(str, tree.version)))


def _measure(case: Case, tree: KernelTree, jobs: int, runs: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        # The two places have names of one length: they are in what is compiled.
        peers = [
            Peer(name, case.sources, Path(scratch).resolve() / place, tree, jobs)
            for name, place in (("make", "a"), ("kbuildpy", "b"))
        ]
        times: dict[str, list[float]] = {"make": [], "kbuildpy": []}
        if case.prepare is not _clean:
            for peer in peers:
                for _ in range(3):  # (ours notes in the second build that nothing is left to do)
                    peer.build()
        for number in range(runs):
            for peer in peers if number % 2 == 0 else peers[::-1]:
                if case.prepare is _clean:
                    peer.lay_out()
                else:
                    case.prepare(peer.place, case.sources)
                times[peer.name].append(peer.build())
        return times["make"], times["kbuildpy"]


def _leave(place: Path, sources: Sources) -> None:
    """Nothing changed."""


def _touch(place: Path, sources: Sources) -> None:
    """One source is edited so that its object changes: a line more at its top moves every line number.

    (A mere `touch` would not do: SCons looks at contents and builds nothing.)
    """
    path = place / sources.touched
    path.write_text(f"\n{path.read_text(errors='surrogateescape')}", errors="surrogateescape")


def _clean(place: Path, sources: Sources) -> None:
    """A fresh copy (`Peer.lay_out`)."""


def _memory(report: BenchReport, tree: KernelTree, jobs: int) -> None:
    """Peak memory of a no-op build over net/netfilter's 167 modules: the build before it takes minutes."""
    netfilter = Sources("net/netfilter", _source(tree) / "net", "netfilter", "netfilter/core.c")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        peer = Peer("kbuildpy", netfilter, Path(scratch).resolve() / "b", tree, jobs)
        make = Peer("make", netfilter, Path(scratch).resolve() / "a", tree, jobs)
        clean = [make.build(), peer.build()]
        noop = [(make.build(), peer.build()) for _ in range(5)]
        theirs, ours = zip(*noop, strict=True)
        process = subprocess.Popen(peer.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
        _, _, usage = os.wait4(process.pid, 0)
        # The largest single process, in KiB (getrusage(2)).
        peak = max(usage.ru_maxrss, 0) / 1024
        built = Path(scratch).resolve() / "a/netfilter"
        listing = sorted(str(path.relative_to(built).with_suffix("")) for path in built.rglob("*.ko"))
        modpost_rows(report, tree, built, listing)
    report.ratio("clean: net/netfilter", clean[:1], clean[1:], None)
    report.ratio("nothing to do: net/netfilter", theirs, ours, None)
    report.memory("peak memory of a no-op over net/netfilter", peak, 200)


def _environment() -> dict[str, str]:
    """As an installed program runs: an installer compiles Python files, a development shell may forbid it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _tree(release: str) -> KernelTree:
    trees = installed_trees().trees
    chosen = [tree for tree in trees if tree.release == release] if release else list(trees)
    if not chosen:
        sys.exit(f"no kernel tree of release {release} is installed" if release else "no kernel tree is installed")
    return chosen[0]


if __name__ == "__main__":
    sys.exit(main())
