# SPDX-License-Identifier: GPL-2.0-only
"""`./run bench`: kbuildpy against make, alternately, on the same sources; prints ratios of medians.

A ratio below 1 means that kbuildpy is quicker. Both tools run as whole processes with as many jobs. Machines are
noisy: the two take turns, so that what slows one slows the other, and a figure is a median of several runs.
What a tool remembers of the kernel tree (kbuildpy's answer of the tree, the page cache) is warm for both; of the
module, a clean build remembers nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.tree import KernelTree
from tests.bench_check import check_rows
from tests.bench_dkms import dkms_rows
from tests.bench_modpost import modpost_rows
from tests.bench_new import new_rows
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
    args = parser.parse_args(argv)
    tree = _tree(args.kernel)
    jobs = 2
    print(f"for {tree.release}, -j{jobs}; seconds are medians; ratio = kbuildpy / make")
    print(f"{'case':<34} {'runs':>4} {'make':>8} {'kbuildpy':>8} {'ratio':>6} {'limit':>6}")
    missed = 0
    for case in _cases(tree):
        if args.words and not any(word in case.name for word in args.words):
            continue
        theirs, ours = _measure(case, tree, jobs, args.runs or case.runs)
        ratio = statistics.median(ours) / statistics.median(theirs)
        missed += ratio > case.limit
        print(
            f"{case.name:<34} {len(ours):>4} {statistics.median(theirs):>8.3f} {statistics.median(ours):>8.3f}"
            f" {ratio:>6.2f} {case.limit:>6.2f}{'' if ratio <= case.limit else '  above the limit'}",
            flush=True,
        )
    if not args.words or any(word in "memory" for word in args.words):
        missed += _memory(tree, jobs)
    if not args.words or any(word in "sign verify" for word in args.words):
        missed += sign_rows(tree)
    if not args.words or any(word in "check" for word in args.words):
        missed += check_rows(tree)
    if any(word in "dkms" for word in args.words):
        # (only when it is asked for: it takes minutes)
        missed += dkms_rows(tree, args.runs)
    if not args.words or any(word in "new" for word in args.words):
        missed += new_rows(tree)
    return 1 if missed else 0


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


def _memory(tree: KernelTree, jobs: int) -> int:
    """Peak memory of a no-op build over net/netfilter's 167 modules: the build before it takes minutes."""
    netfilter = Sources("net/netfilter", _source(tree) / "net", "netfilter", "netfilter/core.c")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        peer = Peer("kbuildpy", netfilter, Path(scratch).resolve() / "b", tree, jobs)
        make = Peer("make", netfilter, Path(scratch).resolve() / "a", tree, jobs)
        clean = [make.build(), peer.build()]
        noop = [(make.build(), peer.build()) for _ in range(5)]
        theirs, ours = (statistics.median(column) for column in zip(*noop, strict=True))
        process = subprocess.Popen(peer.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
        _, _, usage = os.wait4(process.pid, 0)
        # The largest single process, in KiB (getrusage(2)).
        peak = max(usage.ru_maxrss, 0) / 1024
        built = Path(scratch).resolve() / "a/netfilter"
        listing = sorted(str(path.relative_to(built).with_suffix("")) for path in built.rglob("*.ko"))
        missed = modpost_rows(tree, built, listing)
    print(f"{'clean: net/netfilter':<34} {1:>4} {clean[0]:>8.1f} {clean[1]:>8.1f} {clean[1] / clean[0]:>6.2f}")
    print(f"{'nothing to do: net/netfilter':<34} {5:>4} {theirs:>8.3f} {ours:>8.3f} {ours / theirs:>6.2f}")
    print(f"peak memory of a no-op over net/netfilter: {peak:.0f} MiB (limit 200)")
    return missed + (peak > 200)


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
