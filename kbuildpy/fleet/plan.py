# SPDX-License-Identifier: GPL-2.0-only
"""The cells of a call of `kbuildpy matrix`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kbuildpy import __version__
from kbuildpy.errors import UsageError
from kbuildpy.fleet.cell import STEPS, Cell
from kbuildpy.fleet.contents import contents_of, digest_of_files, is_source
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.kernel.output_folder import tree_labels

_OF_TREE = (
    "include/config/kernel.release",
    "include/config/auto.conf",
    "Module.symvers",
    "include/generated/compile.h",
)
"""The files of a kernel tree that tell it from others."""


def steps_of(words: str) -> tuple[str, ...]:
    """The steps that `--do` names, in the order in which they are done. Raises `UsageError`."""
    chosen = [word.strip() for word in words.split(",")]
    for word in chosen:
        if word not in STEPS:
            raise UsageError(f"--do {words}: {word or 'an empty word'} is no step", hint=f"steps: {', '.join(STEPS)}")
    return tuple(step for step in STEPS if step in chosen)


def plan_cells(
    inputs: Sequence[Path],
    kernels: Iterable[ChosenKernel],
    steps: Sequence[str],
    *,
    variables: Mapping[str, str],
    options: Mapping[str, Sequence[str]],
    files: Iterable[Path] = (),
) -> list[Cell]:
    """A cell for each of `kernels`, with all `inputs`.

    `options` are further words for the command of each step, and `files` those that they name: their contents count.
    Raises `UsageError` for an input that has no modules, and for a step that nothing can be done in.
    """
    paths = [path.resolve() for path in inputs]
    sources = [path for path in paths if is_source(path)]
    for path in paths:
        if path not in sources and not find_modules([path]):
            raise UsageError(f"{path}: neither a Kbuild file nor modules in this directory")
    if sources and "build" not in steps:
        raise UsageError(f"{sources[0]}: its modules must be built first", hint="--do build,check")
    if "build" in steps and not sources:
        raise UsageError("--do build: nothing to build", hint="name a directory with a Kbuild file, or leave build out")
    contents = contents_of(list(map(str, paths)))
    besides = digest_of_files(files)
    kernels, cells = list(kernels), []
    trees = [kernel.tree for kernel in kernels if kernel.tree is not None]
    labels = dict(zip(trees, tree_labels(trees), strict=True))
    for kernel in kernels:
        word, release = _word(kernel), kernel.release or str(kernel.image)
        release = labels[kernel.tree] if kernel.tree else release
        about = (__version__, contents, besides, list(map(str, paths)), _identity(kernel), release, list(steps))
        said = repr((about, variables, options)).encode(errors="surrogateescape")
        cells.append(
            Cell(
                key=hashlib.sha256(said).hexdigest()[:32],
                kernel=word,
                release=release,
                inputs=list(map(str, paths)),
                steps=list(steps),
                variables=dict(variables),
                options=dict(options),
                contents=contents,
            )
        )
    return cells


def shard(cells: Sequence[Cell], word: str) -> list[Cell]:
    """Part I of N of `cells`, as `--shard I/N` says: each cell is in one part, whoever asks. Raises `UsageError`."""
    part, _, parts = word.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UsageError(f"--shard {word}: not a part of a whole", hint="--shard 1/4 is the first of four")
    return [cell for number, cell in enumerate(cells) if number % int(parts) == int(part) - 1]


def _word(kernel: ChosenKernel) -> str:
    """The word for `-k` that means this kernel alone."""
    if kernel.tree is not None:
        return str(kernel.tree.objects)
    return str(kernel.image)


def _identity(kernel: ChosenKernel) -> str:
    if kernel.tree is not None:
        return digest_of_files(kernel.tree.objects / name for name in _OF_TREE)
    return digest_of_files([kernel.the_image()])
