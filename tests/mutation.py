# SPDX-License-Identifier: GPL-2.0-only
"""Changes one place of the code at a time, and shows which changes no test notices.

    python -m tests.mutation kbuildpy/signing -t tests/unit/test_sign*.py [--limit 80] [--seed 1] [--jobs 2]

Every change (a comparison turned round, a condition negated, a number increased, a statement left out) is made in a
copy of the project. Each worker imports pytest and the libraries once and forks for every change. A change that makes a
test fail, or run ten times as long as without, is noticed; the others are printed, each with its place, and the share
that was noticed comes last. Exit status: 0.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_COMPARISONS = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}


@dataclass(frozen=True)
class Mutation:
    """A change of the text between two offsets of a file (in bytes)."""

    path: Path
    line: int
    begin: int
    end: int
    text: str
    what: str

    def applied(self, source: bytes) -> bytes:
        """The file's contents with the change."""
        return source[: self.begin] + self.text.encode() + source[self.end :]


def mutations(path: Path) -> list[Mutation]:
    """Every change that can be made in the Python file at `path`."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def change(node: ast.expr | ast.stmt, text: str, what: str) -> Mutation:
        begin, end = span(node)
        return Mutation(path, node.lineno, begin, end, text, what)

    def text_of(node: ast.expr) -> str:
        begin, end = span(node)
        return source[begin:end].decode()

    found = []
    for node in _code(ast.parse(source)):
        found += [change(node, text, what) for text, what in _changes(node, text_of)]
    return found


def _code(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The nodes of `tree` that run when a function is called; no annotations."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield node.value
                yield from _code(node.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                yield statement
                yield from _code(statement)
        elif not _is_type_checking(node):
            if isinstance(node, ast.expr | ast.stmt):
                yield node
            yield from _code(node)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _changes(node: ast.expr | ast.stmt, text_of: Callable[[ast.expr], str]) -> Iterator[tuple[str, str]]:
    """What may stand in place of `node`, and what kind of change that is."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operator = _COMPARISONS[type(node.ops[0])]
        yield f"(({text_of(node.left)}) {operator} ({text_of(node.comparators[0])}))", f"comparison -> {operator}"
    elif isinstance(node, ast.BoolOp):
        word = "or" if isinstance(node.op, ast.And) else "and"
        yield "(" + f" {word} ".join(f"({text_of(value)})" for value in node.values) + ")", f"-> {word}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"bool({text_of(node.operand)})", "not left out"
    elif isinstance(node, ast.IfExp):
        yield f"({text_of(node.orelse)} if {text_of(node.test)} else {text_of(node.body)})", "condition negated"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value), f"-> {not node.value}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield str(node.value + 1), "number increased"
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "pass", "statement left out"
    elif isinstance(node, ast.Continue):
        yield "break", "-> break"
    elif isinstance(node, ast.Break):
        yield "continue", "-> continue"


def main(argv: Sequence[str] | None = None) -> int:
    """Make the changes that the arguments ask for; 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Show changes that no test notices.")
    parser.add_argument("paths", nargs="+", type=Path, help="files or folders to change")
    parser.add_argument("-t", "--tests", nargs="+", required=True, help="the tests that should notice")
    parser.add_argument("--limit", type=int, default=80, help="changes to make, chosen at random (default: 80)")
    parser.add_argument("--seed", default="1", help="seed of the choice (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="changes to try at a time (default: 2)")
    args = parser.parse_args(argv)
    files = sorted(file for path in args.paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    every = [mutation for file in files for mutation in mutations(file.resolve())]
    chosen = random.Random(args.seed).sample(every, min(args.limit, len(every)))
    tests = [str(Path(name).resolve().relative_to(_ROOT)) for name in args.tests]
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        places = [_copy(Path(scratch, str(number))) for number in range(args.jobs)]
        begin = time.monotonic()
        if _status(places[0], tests, timeout=1800) != 0:
            print("the tests fail without any change", file=sys.stderr)
            return 1
        timeout = 10 * (time.monotonic() - begin) + 5
        with ThreadPoolExecutor(args.jobs) as pool:

            def is_noticed(mutation: Mutation) -> bool:
                place = places.pop()
                try:
                    return _is_noticed(mutation, place, tests, timeout=timeout)
                finally:
                    places.append(place)

            noticed = list(pool.map(is_noticed, chosen))
    for mutation, seen in sorted(zip(chosen, noticed, strict=True), key=lambda pair: (pair[0].path, pair[0].line)):
        if not seen:
            print(f"{mutation.path.relative_to(_ROOT)}:{mutation.line}: {mutation.what}: {mutation.text[:90]}")
    print(f"noticed {sum(noticed)} of {len(chosen)} (of {len(every)} possible changes)")
    return 0


def _copy(place: Path) -> Path:
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".mypy_cache", ".ruff_cache")
    shutil.copytree(_ROOT, place, ignore=ignored, symlinks=True)
    return place


def _is_noticed(mutation: Mutation, place: Path, tests: Sequence[str], *, timeout: float) -> bool:
    target = place / mutation.path.relative_to(_ROOT)
    original = mutation.path.read_bytes()
    target.write_bytes(mutation.applied(original))
    try:
        return _status(place, tests, timeout=timeout) != 0
    finally:
        target.write_bytes(original)


def _status(place: Path, tests: Sequence[str], *, timeout: float) -> int:
    """The exit status of `tests` in the copy `place`; -1 if they take longer than `timeout` seconds."""
    process = os.fork()
    if process == 0:
        with suppress(BaseException):
            os.setsid()
            os.chdir(place)
            os.environ |= {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
            sys.path[:] = [str(place), *(name for name in sys.path if name not in ("", str(_ROOT)))]
            for name in [name for name in sys.modules if name.partition(".")[0] in ("kbuildpy", "tests")]:
                del sys.modules[name]
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
            os._exit(status)
        os._exit(1)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return -1


if __name__ == "__main__":
    import cryptography.x509  # noqa: F401 - once, for all that are forked
    import pytest

    sys.exit(main())
