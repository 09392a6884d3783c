# SPDX-License-Identifier: GPL-2.0-only
"""`./run versions`: the core of the tests with the oldest and the newest dependencies, by each Python that is there.

Every cell has an environment of its own, into which the wheel of the checkout is installed. uv resolves: the oldest
set is the lower bounds of pyproject.toml, so these bounds are true, or a cell fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.run import run
from release.artifacts import build_python

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
SCONS = ("4.5.2", "4.6.0", "4.7.0", "4.8.1", "4.9.1", "4.10.1")
"""Of each line between the oldest and the newest SCons the last one."""
CORE = ("tests/unit", "tests/parity/test_samples.py", "tests/parity/test_sign.py", "tests/parity/test_verify.py")
WITH_SCONS = ("tests/parity/test_samples.py", "tests/parity/test_scons_features.py", "tests/parity/test_sign_scons.py")
_FOR_TESTS = ("pytest", "pytest-xdist", "hypothesis", "python-pkcs11>=0.9")


@dataclass(frozen=True)
class Cell:
    """One environment, and what is run in it."""

    python: str
    """A program, or a version that uv finds or gets."""
    dependencies: str
    """`oldest`, `newest`, or `scons X`: the newest with that SCons."""

    @property
    def tests(self) -> tuple[str, ...]:
        """The files of tests."""
        return WITH_SCONS if self.dependencies.startswith("scons") else CORE


def main(argv: Sequence[str] | None = None) -> int:
    """Try what the arguments say, and print a table; 1 if a cell failed."""
    parser = argparse.ArgumentParser(prog="./run versions", description="Run the core of the tests with many versions.")
    parser.add_argument("--python", action="append", metavar="PYTHON", help="a program or a version; may repeat")
    parser.add_argument(
        "--only", action="append", metavar="DEPENDENCIES", help="oldest, newest, scons, or 'scons X.Y.Z'"
    )
    parser.add_argument("--jobs", default="auto", help="processes of tests at a time (default: auto)")
    parser.add_argument("tests", nargs="*", help="files of tests (default: the core)")
    args = parser.parse_args(argv)
    rows, failed = [], False
    try:
        with tempfile.TemporaryDirectory(prefix="kbuildpy-versions-") as place:
            wheel = build_python(ROOT, int(time.time()), Path(place, "dist"))[1]
            for number, cell in enumerate(cells(args.python or found_pythons(), args.only)):
                environment = Path(place, f"cell{number}")
                installed = _install(cell, wheel, environment)
                status, counts = _test(environment, args.tests or cell.tests, args.jobs)
                failed = failed or status != 0
                rows.append(f"| {cell.dependencies} | {installed} | {counts} |")
                print(rows[-1], file=sys.stderr, flush=True)
                shutil.rmtree(environment)
    except KbuildError as error:
        print(f"versions: error: {error}", file=sys.stderr)
        return error.status
    print("\n".join(("| dependencies | installed | tests |", "|---|---|---|", *rows)))
    return 1 if failed else 0


def found_pythons() -> list[str]:
    """The Pythons of this machine that kbuildpy supports."""
    found = [f"python{version}" for version in PYTHONS if _runs(f"python{version}")]
    if not found:
        raise UsageError(f"none of python{', python'.join(PYTHONS)} is here", hint="--python 3.12: uv gets one")
    return found


def _runs(program: str) -> bool:
    """Whether `program` is here and runs: pyenv has a command for each version, also for those that are not chosen."""
    return shutil.which(program) is not None and run([program, "--version"], check=False).returncode == 0


def cells(pythons: Sequence[str], only: Sequence[str] | None) -> Iterator[Cell]:
    """What is tried: each Python with the oldest and the newest dependencies, and the first with each SCons."""
    for python in pythons:
        yield from (Cell(python, name) for name in ("oldest", "newest") if only is None or name in only)
    between = (f"scons {version}" for version in SCONS)
    yield from (Cell(pythons[0], name) for name in between if only is None or {name, "scons"} & set(only))


def _install(cell: Cell, wheel: Path, environment: Path) -> str:
    """Make the environment of a cell; what is installed in it."""
    run(["uv", "venv", "-q", "--python", cell.python, environment])
    python = environment / "bin/python"
    resolution = "lowest-direct" if cell.dependencies == "oldest" else "highest"
    chosen = environment / "requirements.txt"
    run(
        ["uv", "pip", "compile", "-q", "--python", python, "--resolution", resolution, "pyproject.toml", "-o", chosen],
        cwd=ROOT,
    )
    if cell.dependencies.startswith("scons"):
        chosen.write_text(
            re.sub(r"^scons==\S+", cell.dependencies.replace(" ", "=="), chosen.read_text(), flags=re.MULTILINE)
        )
    run(["uv", "pip", "install", "-q", "--python", python, "-r", chosen, wheel, *_FOR_TESTS])
    names = "scons|cryptography|pyelftools|jinja2|tqdm"
    listed = run(["uv", "pip", "freeze", "--python", python]).text
    versions = ", ".join(" ".join(pair) for pair in re.findall(rf"^({names})==(\S+)$", listed, re.MULTILINE))
    return f"{run([python, '--version']).text.strip()}, {versions}"


def _test(environment: Path, tests: Sequence[str], jobs: str) -> tuple[int, str]:
    """Run tests in an environment; the exit status, and pytest's last line."""
    words = ["-q", "-p", "no:cacheprovider", "-n", jobs, "--dist", "loadfile", *tests]
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [environment / "bin/python", "-m", "pytest", *words],
        cwd=ROOT,
        env={**inherited, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode, done.stdout.strip().splitlines()[-1].strip("= ")


if __name__ == "__main__":
    sys.exit(main())
