# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy cache`: what is in a shared cache, and bounding its size."""

from __future__ import annotations

import argparse
import json
import os
import re

from kbuildpy.cli.shared_options import add_format
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.shared.address import shown_address
from kbuildpy.shared.clean import Cleaned, clean_store
from kbuildpy.shared.open_store import open_store
from kbuildpy.similar import did_you_mean

EXAMPLES = (
    "kbuildpy cache show /nfs/kbuildpy",
    "kbuildpy cache clean --size 5G s3://BUCKET/kbuildpy",
    "kbuildpy cache clean --size 500M redis://localhost/0 -n",
)

_ACTIONS = ("show", "clean")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKMGT]?)(?:i?B)?")
_UNITS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy cache`."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="show | clean | ADDRESS",
        help="show: how much there is; clean: remove what was not used for longest; the address of the cache, as of "
        "`build --cache` (default: KBUILDPY_SHARED_CACHE)",
    )
    parser.add_argument("--size", metavar="SIZE", type=_size, help="of clean: the most bytes to keep, such as 5G")
    parser.add_argument("-n", "--dry-run", action="store_true", help="of clean: remove nothing, and say what would be")
    add_format(parser, "text (default), or one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show or clean a shared cache."""
    action, address = _words(args.words)
    if (action == "clean") != (args.size is not None):
        raise UsageError("--size belongs to clean, and clean needs it", hint="kbuildpy cache clean --size 5G ADDRESS")
    store = open_store(address)
    try:
        cleaned = clean_store(store, most=args.size, dry_run=args.dry_run)
    except KbuildError:
        raise
    except Exception as error:  # (whatever the store's library raises)
        raise KbuildError(f"{shown_address(address)}: {type(error).__name__}", hint="is the server there?") from error
    if args.format == "json":
        print(json.dumps({"address": shown_address(address), **cleaned._asdict()}))
    else:
        print(_sentence(shown_address(address), cleaned, cleans=action == "clean", dry_run=args.dry_run))
    return 0


def _words(words: list[str]) -> tuple[str, str]:
    """The action and the address. Raises `UsageError`."""
    action, *rest = words or [""]
    if action not in _ACTIONS:
        raise UsageError(f"{action or 'no action'}: show or clean", hint=did_you_mean(action, _ACTIONS) or EXAMPLES[0])
    address = rest[0] if rest else os.environ.get("KBUILDPY_SHARED_CACHE", "")
    if len(rest) > 1 or not address:
        raise UsageError("one address of a shared cache", hint=f"kbuildpy cache {action} ADDRESS")
    return action, address


def _size(word: str) -> int:
    found = _SIZE.fullmatch(word)
    if not found:
        raise argparse.ArgumentTypeError(f"{word}: not a size, such as 5G or 500M")
    return int(float(found[1]) * 1024 ** _UNITS[found[2].replace("K", "k")])


def _sentence(shown: str, cleaned: Cleaned, *, cleans: bool, dry_run: bool) -> str:
    text = f"{shown}: {cleaned.entries} objects, {_amount(cleaned.size)}"
    what = "would be removed" if dry_run else "removed"
    return f"{text}; {cleaned.removed} of them, {_amount(cleaned.freed)}, {what}" if cleans else text


def _amount(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
