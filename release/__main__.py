# SPDX-License-Identifier: GPL-2.0-only
"""`./run release VERSION`: makes a release on this machine. It uploads nothing."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from release.cut_release import cut_release

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Make the release that the arguments name; the exit status."""
    parser = argparse.ArgumentParser(
        prog="./run release",
        description="Test, build, check, tag and sign a release on this machine. Nothing is uploaded.",
    )
    parser.add_argument("version", metavar="VERSION", help="X.Y.Z")
    parser.add_argument("--dry-run", action="store_true", help="do all of it, and keep nothing")
    parser.add_argument("--branch", default="main", help="the branch that releases are made of (default: main)")
    parser.add_argument(
        "--tests", default="./run test", metavar="COMMAND", help="must succeed first (default: ./run test); '' for none"
    )
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        made = cut_release(ROOT, args.version, branch=args.branch, tests=shlex.split(args.tests), dry_run=args.dry_run)
    except KbuildError as error:
        print(f"release: error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("release: interrupted; nothing was changed", file=sys.stderr)
        return 130
    for line in made.checked:
        print(f"release: {line}")
    if args.dry_run:
        print(f"release: {args.version} can be made; nothing was kept of: {', '.join(p.name for p in made.files)}")
        return 0
    wheel, sdist = (next(str(path) for path in made.files if path.name.endswith(end)) for end in (".whl", ".tar.gz"))
    print(f"release: {args.version} is in dist/{args.version}; {args.branch} has begun {made.begins}. To publish it:")
    print(f"  git push --atomic origin {args.branch} v{args.version}")
    print(f"  twine upload {wheel} {sdist}")
    print(f"  and attach the files of dist/{args.version} to the release, with RELEASE_NOTES.md as its text")
    return 0


if __name__ == "__main__":
    sys.exit(main())
