# SPDX-License-Identifier: GPL-2.0-only
"""Builds a small kernel, and puts it beside the fetched ones.

It is built in a directory of its own, which is renamed when the kernel is whole. A build that was interrupted goes on
there at the next call. Objects are removed in the end: what modules are built against, the image and the debug
information stay.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.exchange import put_in_place, remove_directory
from kbuildpy.kernel.built import BUILDING, BUILT_NOTE
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.locked import locked
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.configure import configure
from kbuildpy.kernel_build.make import make, make_loudly
from kbuildpy.kernel_build.recipe import KernelRecipe
from kbuildpy.kernel_build.requirements import require_room, require_tools
from kbuildpy.kernel_build.sources import Tell
from kbuildpy.run import run, with_sbin

LOG = "build.log"
"""The file in a kernel's directory with all that make printed."""

_OBJECTS = (".o", ".a", ".ko", ".cmd", ".mod", ".mod.c", ".o.d", ".lds.d", ".symversions", ".su")
_KEPT = ("scripts", "tools", "certs", "rust", "include")
"""Directories in which nothing is removed: programs, keys, what Rust modules are compiled with, generated headers."""
_CRTSAVRES = "arch/powerpc/lib/crtsavres.o"  # (linked to each module)
_ERROR = re.compile(r"error:|Error \d|undefined reference|No such file|No space left|Killed", re.IGNORECASE)


def built_kernel(recipe: KernelRecipe) -> KernelTree | None:
    """The tree of the kernel of `recipe`, if it was built and nothing of the recipe has changed since; else None."""
    place = _place(recipe)
    try:
        note = json.loads((place / BUILT_NOTE).read_text())
    except (OSError, ValueError):
        return None
    return open_tree(place) if isinstance(note, dict) and note.get("digest") == recipe.digest else None


def build_kernel(
    recipe: KernelRecipe, *, tell: Tell, advance: Callable[[int], object] = lambda count: None
) -> KernelTree:
    """Build the kernel of `recipe`, unless it is there; its tree.

    `tell` is told what is done, `advance` how many more files were made. Waits while another process builds it. Raises
    `KbuildError` for what is missing to build it, a configuration that cannot be had, and a build that fails.
    """
    root = fetched_root()
    with locked(root / "usr/src", recipe.release, what="builds this kernel"):
        found = built_kernel(recipe)
        if found is not None:
            return found
        require_tools(recipe)
        place = root / "usr/src" / f"{BUILDING}{recipe.release}"
        place.mkdir(parents=True, exist_ok=True)
        require_room(place)
        began = time.monotonic()
        goes_on = (place / LOG).exists()
        try:
            configure(recipe, place)
        except KbuildError:
            if not goes_on:
                remove_directory(place)
            raise
        tell(f"building {recipe.release}{' (going on where it was interrupted)' if goes_on else ''}")
        _compile(recipe, place, advance)
        image = make(recipe, place, "image_name").strip().splitlines()[-1]
        if not (place / image).is_file():
            raise KbuildError(f"{recipe.release}: was built, but there is no image {image}", hint=f"see {place / LOG}")
        _keep_modules(recipe, place, root)
        _write_note(recipe, place, image, time.monotonic() - began)
        _remove_objects(place)
        _mend_makefile(place, _place(recipe))
        link = root / "boot" / f"vmlinuz-{recipe.release}"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../usr/src") / _place(recipe).name / image)
        put_in_place(place, _place(recipe))
        # (what was there before)
        remove_directory(place)
    return open_tree(_place(recipe))


def _place(recipe: KernelRecipe) -> Path:
    return fetched_root() / "usr/src" / f"linux-headers-{recipe.release}"


def _compile(recipe: KernelRecipe, place: Path, advance: Callable[[int], object]) -> None:
    log = place / LOG
    try:
        make_loudly(recipe, place, log, "all", advance=advance)
    except CommandError as error:
        lines = [line for line in error.stderr.splitlines() if _ERROR.search(line)] or error.stderr.splitlines()[-1:]
        first = lines[0].strip() if lines else error.message
        if "No space left" in error.stderr:
            require_room(place)
        raise KbuildError(
            f"{recipe.release}: the kernel does not build: {first[:300]}",
            hint=f"see {log}; the next call goes on from here",
        ) from error


def _keep_modules(recipe: KernelRecipe, place: Path, root: Path) -> None:
    """Put the kernel's own modules and their indexes below `root`/lib/modules, where those of fetched ones are."""
    with TemporaryDirectory(prefix=".new-", dir=place) as scratch:
        make(recipe, place, "modules_install", f"INSTALL_MOD_PATH={scratch}", "DEPMOD=true")
        installed = Path(scratch, "lib/modules", recipe.release)
        if not installed.is_dir():
            others = ", ".join(path.name for path in Path(scratch).glob("lib/modules/*"))
            raise KbuildError(f"{recipe.release}: the kernel calls itself {others or 'nothing'}")
        (installed / "kernel").mkdir(exist_ok=True)
        for name in ("build", "source"):
            (installed / name).unlink(missing_ok=True)
        run(["depmod", "-b", scratch, recipe.release], env=with_sbin(os.environ))
        (installed / "build").symlink_to(Path("../../../usr/src") / _place(recipe).name)
        there = root / "lib/modules" / recipe.release
        there.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(installed, there)


def _write_note(recipe: KernelRecipe, place: Path, image: str, seconds: float) -> None:
    note = {
        "digest": recipe.digest,
        "source": recipe.source.identity,
        "source_path": str(recipe.source.path),
        "sets": [each.name for each in recipe.sets],
        "make": recipe.toolchain.words,
        "compiler": recipe.toolchain.version(),
        "image": image,
        "seconds": round(seconds, 1),
    }
    (place / BUILT_NOTE).write_text(f"{json.dumps(note, indent=1)}\n")


def _remove_objects(place: Path) -> None:
    for directory, folders, files in os.walk(place):
        if Path(directory) == place:
            folders[:] = [folder for folder in folders if folder not in _KEPT and not folder.startswith(".new-")]
        # (arch/*/include has generated headers)
        folders[:] = [folder for folder in folders if folder != "include"]
        for name in files:
            path = Path(directory, name)
            if name.endswith(_OBJECTS) and str(path.relative_to(place)) != _CRTSAVRES and name != "module.lds":
                path.unlink()
    shutil.rmtree(place / "usr", ignore_errors=True)
    for name in ("vmlinux.unstripped", "arch/x86/boot/compressed/vmlinux", "arch/x86/boot/compressed/vmlinux.bin"):
        (place / name).unlink(missing_ok=True)


def _mend_makefile(place: Path, final: Path) -> None:
    """Have the generated Makefile name the directory that `place` is renamed to (since 6.13 it names its own)."""
    makefile = place / "Makefile"
    text = makefile.read_text()
    if str(place) in text:
        makefile.write_text(text.replace(str(place), str(final)))
