# SPDX-License-Identifier: GPL-2.0-only
"""The four comparisons on one kernel. Their oracles are make, the tree's modpost, and the kernel itself."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.module_files import module_name
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.run import run
from kbuildpy.signing.signer import sign_module
from tests.configurations.kernels import Kernel
from tests.configurations.results import Outcome
from tests.configurations.rows import Row, SelfBuilt
from tests.support.builds import Build, build_both, complaints, errors, kbuildpy
from tests.support.loading import in_dependency_order
from tests.support.modposts import assert_same_modpost_on_tables_and_mistakes
from tests.support.packages import asking, other_compiler, source_files, unpacked
from tests.support.rust_sources import MINIMAL, PAIR
from tests.support.samples import SAMPLES
from tests.vm.loaded import load_all, predicted
from tests.vm.referee.sweep import sweep

CORPUS = (
    *("acpi-call-dkms", "bbswitch-dkms", "vpoll-dkms", "lime-forensics-dkms", "rapiddisk-dkms", "nat-rtsp-dkms"),
    *("v4l2loopback-dkms", "gost-crypto-dkms"),
)
"""Packages of modules: the first three that make builds are compared, and those that it refuses before are refused.
Where it builds fewer, as for the newest kernels, a directory of the kernel's own sources is one more."""
OF_THE_KERNEL = {
    "lib/lz4": ("CONFIG_LZ4_COMPRESS=m", "CONFIG_LZ4HC_COMPRESS=m", "CONFIG_LZ4_DECOMPRESS=m"),
    "fs/minix": ("CONFIG_MINIX_FS=m",),
    "lib/reed_solomon": ("CONFIG_REED_SOLOMON=m",),
    "lib/lzo": ("CONFIG_LZO_COMPRESS=m", "CONFIG_LZO_DECOMPRESS=m"),
}
"""Directories of the kernel's own sources, and what make is told to build modules there. (modpost refuses those
whose symbols the kernel exports itself.)"""
WANTED = 3
NAMED = AT_RANDOM = 100
"""How many damaged modules a kernel has to be asked of, at least, of each kind."""
_TRIED_AT_RANDOM = 200
_TOLD = 20
"""Differences that a result has at most."""
_BUILD = re.compile(r"/build/[^/]+/")
Sources = Path | Callable[[Path], None]


def compare_bytes(row: Row, kernel: Kernel, scratch: Path) -> Outcome:
    """Samples and corpus modules, built by make and by kbuildpy: the same files, the same messages."""
    differences: list[str] = []
    counted = {"samples": 0}
    files = 0
    for kind, sources in _own_sources(row):
        oracle, ours = compared_with_make(row, kernel, sources, scratch / kind)
        differences += [f"{kind}: {text}" for text in differences_of(oracle, ours)]
        counted[kind] = counted.get(kind, 0) + len(ours.names(".ko"))
        files += len(ours.files)
    names: list[str] = []
    refused = 0
    for name, place, words in _corpus(row):
        if len(names) == WANTED:
            break
        oracle, ours = compared_with_make(row, kernel, place, scratch / place.name, words)
        if oracle.status and ours.status and any(differences_of(oracle, ours)):
            # (which of several mistakes is found first is chance, unless sources are compiled one after the other)
            oracle, ours = compared_with_make(row, kernel, place, scratch / place.name, (*words, "-j1"))
        differences += [f"{name}: {text}" for text in differences_of(oracle, ours)]
        if oracle.status == 0:
            names.append(name)
            files += len(ours.files)
        else:
            refused += 1
    counted.update(files=files, refused=refused)
    if counted["samples"] < 7 or len(names) < WANTED:
        differences.append(f"only {counted['samples']} samples and {len(names)} modules of others were built")
    return _outcome(differences, counted, names=tuple(names))


def compare_modpost(row: Row, kernel: Kernel, scratch: Path) -> Outcome:
    """Both modposts over device tables, exports, an undefined symbol and a section mismatch."""
    words = [*kernel.words, *other_compiler(kernel.tree)]
    try:
        assert_same_modpost_on_tables_and_mistakes(kernel.tree, scratch, words)
    except AssertionError as error:
        return _outcome([f"{error or 'the modposts differ'}"], {})
    return _outcome([], {"modules": 2})


def compare_check(row: Row, kernel: Kernel, scratch: Path, *, seed: int = 1) -> Outcome:
    """The loader check and the kernel over damaged modules."""
    if not _has_known_loader(kernel, scratch):
        return Outcome("not run", reason=f"the loader for {kernel.machine} is not known, as the check says")
    try:
        image = kernel.image()
    except KbuildError as error:
        return Outcome("not run", reason=error.message)
    found = sweep(kernel.tree, image, scratch, seed=seed, at_random=_TRIED_AT_RANDOM, signer=kernel.signer())
    differences = [str(item) for item in found.differences]
    differences += [f"the kernel died of {item.name}" for item in found.comparisons if item.answer.died]
    if found.named < NAMED or 0 < found.at_random < AT_RANDOM:
        differences.append(f"only {found.named} named damages and {found.at_random} at random were compared")
    counted = {
        "named": found.named,
        "random": found.at_random,
        "unchecked": found.unchecked,
        "boots": found.boots,
        "different": len(found.differences),
    }
    return _outcome(differences, counted)


def compare_run(row: Row, kernel: Kernel, scratch: Path) -> Outcome:
    """The samples in the kernel: loaded, with the size and the taints that the check says."""
    try:
        image = kernel.image()
    except KbuildError as error:
        return Outcome("not run", reason=error.message)
    tree, signer = kernel.tree, kernel.signer()
    done = kbuildpy("build", SAMPLES, "-k", tree.objects, "-o", scratch, *kernel.words, *other_compiler(tree))
    if done.returncode:
        return _outcome([done.error_text[-2000:]], {})
    built = in_dependency_order(sorted((scratch / tree.release).rglob("*.ko")))
    modules = [(module_name(path.name), path.read_bytes()) for path in built]
    if signer is not None:
        modules = [(name, sign_module(contents, signer) or contents) for name, contents in modules]
    shown = load_all(image, modules, timeout=600)
    facts = kernel_from_tree(tree, asking(tree), image=image)
    differences = []
    for seen, verdict in zip(shown, predicted(facts, modules, shown), strict=True):
        theirs = (seen.status, seen.size if seen.line else None, seen.taints)
        ours = (0 if verdict.accepted else verdict.errno, verdict.size, verdict.module_taints)
        if theirs != ours:
            differences.append(f"{seen.name}: status, size and taints are {theirs}, the check says {ours}")
    return _outcome(differences, {"samples": len(shown)})


COMPARISONS: dict[str, Callable[[Row, Kernel, Path], Outcome]] = {
    "bytes": compare_bytes,
    "modpost": compare_modpost,
    "check": compare_check,
    "run": compare_run,
}
"""Each of `results.PARTS`, with what does it: for a row, its kernel, and a directory that is empty."""


def differences_of(oracle: Build, ours: Build) -> Iterator[str]:
    """How what kbuildpy made differs from what make made; where make refuses the sources, kbuildpy has to say all that
    make says."""
    if oracle.status:
        if ours.status == 0:
            yield "make does not build it, kbuildpy does"
        elif not errors(oracle.output) <= errors(ours.output):
            yield f"make says {sorted(errors(oracle.output) - errors(ours.output))[0]}"
        return
    if ours.status:
        yield f"make builds it, kbuildpy does not: {ours.output[-1500:]}"
        return
    if ours.names() != oracle.names():
        yield f"other files than make's: {sorted({*ours.names()} ^ {*oracle.names()})}"
    for name in {*oracle.names()} & {*ours.names()}:
        if ours.files[name] != oracle.files[name]:
            yield f"{name}: other bytes than make's"
    # (objtool names objects, which lie in build/RELEASE here)
    said = sorted(_BUILD.sub("/", line) for line in complaints(ours))
    if said != complaints(oracle):
        yield f"other messages than make's: {sorted({*said} ^ {*complaints(oracle)})}"


def _own_sources(row: Row) -> Iterator[tuple[str, Sources]]:
    """What is built of our own, and the kind that it is counted as."""
    yield "samples", SAMPLES
    if isinstance(row.kernel, SelfBuilt) and "rust" in row.kernel.sets:
        yield "rust", partial(_lay_out, MINIMAL)
        yield "rust", partial(_lay_out, PAIR)


def _lay_out(files: dict[str, str], place: Path) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


def _corpus(row: Row) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Modules of others: a name, the sources, and what make is told to build them."""
    for package in CORPUS:
        # (apt may not have it)
        with suppress(CommandError):
            yield package.removesuffix("-dkms"), next((unpacked(package) / "usr/src").iterdir()), ()
    for name, words in OF_THE_KERNEL.items():
        yield name, source_files(row.line, name) / name, words


def compared_with_make(
    row: Row, kernel: Kernel, sources: Sources, place: Path, words: tuple[str, ...] = ()
) -> tuple[Build, Build]:
    """What make and kbuildpy made of `sources` at `place`, as far as it has to be equal."""
    [(oracle, ours)] = build_both(kernel.tree, sources, place, steps=[("", (*kernel.words, *words))])
    shutil.rmtree(place)
    if not row.names_files:
        return oracle, ours
    return _without_places(oracle, place), _without_places(ours, place)


def _without_places(build: Build, scratch: Path) -> Build:
    """Without debug information and the build-id, which depends on it."""
    files = dict(build.files)
    for name in build.names(".ko"):
        scratch.write_bytes(files[name])
        run(["objcopy", "-g", "-R", ".note.gnu.build-id", scratch])
        files[name] = scratch.read_bytes()
        scratch.unlink()
    return Build(build.status, build.output, files)


def _has_known_loader(kernel: Kernel, scratch: Path) -> bool:
    """Whether the check knows the kernel's loader; it says so where it does not."""
    tree = kernel.tree
    hello = scratch / "hello"
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", hello, *kernel.words, *other_compiler(tree))
    if done.returncode:
        raise KbuildError(f"hello is not built: {done.error_text[-500:]}")
    [module] = hello.rglob("*.ko")
    done = kbuildpy("check", module, "-k", tree.objects)
    shutil.rmtree(hello)
    return "the loader of this kernel is not supported" not in done.error_text


def _outcome(differences: list[str], counted: dict[str, int], *, names: tuple[str, ...] = ()) -> Outcome:
    return Outcome("different" if differences else "equal", counted, names, differences=tuple(differences[:_TOLD]))
