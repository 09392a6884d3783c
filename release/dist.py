# SPDX-License-Identifier: GPL-2.0-only
"""`./run dist`: builds the project's packages of a commit, and checks them."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from release.artifacts import build
from release.checks import check

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Build and check what the arguments say; the exit status."""
    parser = argparse.ArgumentParser(
        prog="./run dist", description="Build sdist and wheel of a commit, and check them."
    )
    parser.add_argument("--debian", action="store_true", help="the Debian source package, too (needs dpkg-dev)")
    parser.add_argument("--commit", default="HEAD", help="the commit (default: HEAD; changes in the tree play no part)")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    args = parser.parse_args(argv)
    try:
        files = build(ROOT, args.commit, args.into, debian=args.debian)
        done = check(files, ROOT, args.commit)
    except KbuildError as error:
        print(f"dist: error: {error}", file=sys.stderr)
        return error.status
    for line in done:
        print(f"dist: {line}", file=sys.stderr)
    for path in files:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
