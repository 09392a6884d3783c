# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy which`: what a machine will do with the name of a module."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.cli.shared_options import add_enforcement, add_format, add_kernels, named_path
from kbuildpy.errors import UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.image import release_without_unpacking
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.printable import printable
from kbuildpy.similar import similar_file
from kbuildpy.which.answer import ModuleAnswer, answer_json
from kbuildpy.which.look_up import look_up
from kbuildpy.which.place import KernelPlace, default_place, find_place, releases_of, running_release
from kbuildpy.which.text import answer_lines

EXAMPLES = (
    "kbuildpy which nf_tables",
    "kbuildpy which --why-not pci:v000010ECd00008168sv00001043sd00008677bc02sc00i00",
    "kbuildpy which v4l2loopback --root /mnt -k 6.1.0-56-amd64 --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy which`."""
    parser.epilog = (
        "Says which file modprobe takes, what is loaded before it, whether a copy in the initramfs comes first, "
        "whether the kernel trusts its signature, and whether the loader accepts it. Exit status: 0 every module that "
        "is meant would be loaded, or is built in; 1 one would not, or that cannot be told; 2 the call was wrong."
    )
    parser.add_argument(
        "words", nargs="+", metavar="NAME", help="a module's name, or an alias (pci:..., fs-..., symbol:...)"
    )
    add_kernels(
        parser,
        "a release, a pattern of releases, the path of a kernel tree or an image, `running` or `all` (default: the "
        "running kernel, else the newest one that has modules)",
    )
    parser.add_argument("--root", metavar="DIR", type=named_path, default=Path("/"), help="look at the system in DIR")
    parser.add_argument("--why-not", action="store_true", help="print each step, up to the one where it stops")
    parser.add_argument(
        "--lookup", action="store_true", help="only what modprobe does: no signature, no initramfs, no loader check"
    )
    add_enforcement(parser)
    add_format(parser, "lines (default), or one JSON object for each module that a name stands for")


def run(args: argparse.Namespace) -> int:
    """Print what becomes of each name; 0 if all are loaded."""
    root = args.root.resolve()
    if not root.is_dir():
        raise UsageError(f"--root {args.root}: no such directory", hint=similar_file(args.root))
    for word in args.words:
        _check_name(word)
    if args.lookup and (args.cert or args.sig_enforce or args.lockdown):
        raise UsageError(
            "--lookup looks at no signature: remove it, or --cert, --sig-enforce and --lockdown",
            hint="without --lookup the signature is looked at",
        )
    loads = True
    for place in _places(args.kernels, Rooted(root)):
        for answer in _answers(args, place):
            _show(args, answer)
            loads = loads and answer.loads is True
    return 0 if loads else 1


def _check_name(word: str) -> None:
    if not word:
        raise UsageError("an empty name")
    if word.startswith(("/", "./", "../")):
        raise UsageError(
            f"{word}: a path, and not a name", hint="for a file: kbuildpy check FILE; modprobe takes a module's name"
        )


def _places(words: Sequence[str], system: Rooted) -> Iterator[KernelPlace]:
    """The kernels that `words` (`-k`) name. Prints which kernel was taken if none was named."""
    if not words:
        place, reason = default_place(system)
        if reason:
            print(f"kbuildpy: {printable(reason)}", file=sys.stderr)
        yield place
        return
    seen = set()
    for word in words:
        for place in _named(word, system):
            if place.release not in seen:
                seen.add(place.release)
                yield place


def _named(word: str, system: Rooted) -> Iterator[KernelPlace]:
    """The kernels that one word names."""
    releases = releases_of(system) if word == "all" else [running_release(system) if word == "running" else word]
    known = [place for release in releases if (place := find_place(system, release)) is not None]
    if known:
        yield from known
        return
    for chosen in resolve([word], Need.EITHER, root=system.root):
        release = chosen.release or release_without_unpacking(chosen.the_image())
        place = find_place(system, release)
        if place is None:
            raise UsageError(
                f"-k {word}: there are no modules of {release or 'that image'} in {system.root}",
                hint="name a release: see /lib/modules",
            )
        yield place


def _answers(args: argparse.Namespace, place: KernelPlace) -> Iterator[ModuleAnswer]:
    judge = None
    for word in args.words:
        for looked in look_up(word, place):
            if args.lookup or looked.answer.built_in or not looked.answer.file:
                yield looked.answer
                continue
            if judge is None:
                from kbuildpy.cli.which_judge import judge_of  # (imports cryptography and the loader)

                judge = judge_of(args, place)
            yield judge(looked)


def _show(args: argparse.Namespace, answer: ModuleAnswer) -> None:
    if args.format == "json":
        print(json.dumps(answer_json(answer)))
        return
    for line in answer_lines(answer, why_not=args.why_not, looked_up_only=args.lookup):
        print(line)
