# SPDX-License-Identifier: GPL-2.0-only
"""From a directory to a kernel tree, or to the one reason why the directory cannot be used.

Kbuild finds the two parts of a tree by itself: `make -C OBJECTS` reads the object part's `Makefile`, which is
the kernel's own one (a tree that was built in place) or a few generated lines that include or call the source
part's (Makefile: outputmakefile; before 5.4 scripts/mkmakefile; Debian's headers packages write theirs alike).

The surprise: `include/config/kernel.release` is not always the release. Debian's 6.1 says `6.1.192` there and
overrides it in `.kernelvariables`; what `uname -r` and every module's vermagic say is `UTS_RELEASE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.packages import reinstall_hint, release_hint
from kbuildpy.kernel.release import version_of
from kbuildpy.kernel.tree import KernelTree

# What Kbuild itself asks for before it builds an external module (Makefile: "Kernel configuration is invalid").
PREPARED_FILES = ("include/config/auto.conf", "include/generated/autoconf.h")

_UTS_RELEASE = re.compile(r'^#define UTS_RELEASE "([^"]+)"', re.MULTILINE)
# (`$(KBUILD_OUTPUT)/` is written into fetched headers, `fetch`)
_INCLUDED_MAKEFILE = re.compile(r"^include\s+(?:\$\(KBUILD_OUTPUT\)/)?([^\s$]+)/Makefile\s*$", re.MULTILINE)
_CALLED_MAKEFILE = re.compile(r"^(?:MAKEARGS\s*:?=|.*\$\(MAKE\))\s+-C\s+([^\s$]+)", re.MULTILINE)


def open_tree(path: Path | str) -> KernelTree:
    """The kernel tree whose object part is the directory `path`.

    A tree without `Module.symvers` is a tree. Raises `UsageError` for a directory that does not exist, is no
    kernel tree, or has a name that Kbuild cannot build in; `KbuildError` for a tree that was never prepared, whose
    source part is gone, or whose release does not begin with a version.
    """
    given = Path(path)
    objects = _directory(given)
    for character in (" ", ":"):
        if character in str(objects):
            raise UsageError(
                f"{objects}: Kbuild cannot use a kernel tree whose path contains '{character}'",
                hint="move the tree to a path without spaces and colons",
            )
    source = source_of(objects)
    if source is None or not (source == objects or (objects / "include/config").is_dir()):
        raise UsageError(f"{given}: not a kernel tree", hint=_hint_for_no_tree(given, objects))
    _require_source(objects, source)
    _require_prepared(objects, source)
    release = read_release(objects)
    if not release:
        raise KbuildError(
            f"{objects}: the release of the kernel tree is not known (include/generated/utsrelease.h is missing)",
            hint=f"make -C {objects} modules_prepare",
        )
    try:
        version_of(release)
    except ValueError as error:
        raise KbuildError(f"{objects}: the release of the kernel tree, {error}") from error
    return KernelTree(objects, source.resolve(), release)


def read_release(objects: Path) -> str:
    """A tree's release, or "" if it tells none.

    `UTS_RELEASE` is what its modules carry in their vermagic; `include/config/kernel.release` is what that is
    generated from, and stands in for it.
    """
    found = _UTS_RELEASE.search(_text(objects / "include/generated/utsrelease.h"))
    if found:
        return found[1]
    lines = _text(objects / "include/config/kernel.release").split("\n", 1)
    return lines[0].strip()


def source_of(objects: Path) -> Path | None:
    """The source part that the object part's `Makefile` names (it may be gone), or None for no kernel `Makefile`."""
    makefile = objects / "Makefile"
    if makefile.is_symlink() and not makefile.exists():
        # Ubuntu's object part links each file of the source part, one by one.
        return (objects / makefile.readlink()).parent
    text = _text(makefile)
    if "scripts/Kbuild.include" in text:
        return objects
    named = _INCLUDED_MAKEFILE.search(text) or _CALLED_MAKEFILE.search(text)
    if named:
        return objects / named[1]
    link = objects / "source"
    return link if text and link.is_symlink() else None


def _directory(given: Path) -> Path:
    if given.is_dir():
        return given.resolve()
    if given.exists():
        raise UsageError(f"{given}: not a directory", hint="name the directory of a kernel tree (its object part)")
    if given.is_symlink():
        hint = "install the kernel's headers package, or name another tree"
        if given.name == "build" and given.parent.parent.name == "modules":
            hint = release_hint(given.parent.name)
        raise UsageError(f"{given}: a link to {given.readlink()}, which does not exist", hint=hint)
    raise UsageError(
        f"{given}: no such directory", hint="`kbuildpy kernels` lists the kernel trees that are installed here"
    )


def _require_source(objects: Path, source: Path) -> None:
    if not (source / "Makefile").is_file():
        raise KbuildError(
            f"{objects}: the source part of the kernel tree is missing ({source})", hint=reinstall_hint(source)
        )
    if not (source / "scripts/Kbuild.include").is_file():
        scripts = source / "scripts"
        # Debian keeps scripts/ in a package of its own (linux-kbuild-X), and links there.
        lost = (source / scripts.readlink()).parent if scripts.is_symlink() else source
        raise KbuildError(
            f"{objects}: the kernel tree has no {scripts}/Kbuild.include, Kbuild's own makefiles are missing",
            hint=reinstall_hint(lost),
        )


def _require_prepared(objects: Path, source: Path) -> None:
    missing = [name for name in PREPARED_FILES if not (objects / name).is_file()]
    if not missing:
        return
    names = " and ".join(missing)
    if (objects / ".config").is_file() or source != objects or len(missing) < len(PREPARED_FILES):
        raise KbuildError(
            f"{objects}: the kernel tree is not prepared, {names} missing",
            hint=f"run `make modules_prepare` in it: make -C {objects} modules_prepare",
        )
    others = [str(tree) for tree in sorted(_object_parts_near(objects))]
    if others:
        raise UsageError(
            f"{objects}: only the source part of a kernel tree; modules are built against an object part",
            hint=f"name the object part: {' or '.join(others)}",
        )
    raise KbuildError(
        f"{objects}: a kernel source that was never configured, {names} missing",
        hint="copy the kernel's configuration to .config in it, then run "
        f"`make olddefconfig` and `make modules_prepare` there (make -C {objects} ...)",
    )


def _object_parts_near(source: Path) -> Iterator[Path]:
    """Object parts of `source`, which is not one itself, among its siblings (headers packages) and its children
    (`make O=build`)."""
    for makefile in (*source.parent.glob("*/Makefile"), *source.glob("*/Makefile")):
        objects = makefile.parent
        if not (objects / PREPARED_FILES[0]).is_file():
            continue
        named = source_of(objects)
        if named is not None and named.resolve() == source:
            yield objects


def _hint_for_no_tree(given: Path, objects: Path) -> str:
    if (objects / "build/Makefile").is_file():
        return f"did you mean {given / 'build'}?"
    if not (objects / "Makefile").is_file():
        return "a kernel tree has a Makefile and include/config/auto.conf; `kbuildpy kernels` lists those installed"
    return "its Makefile is not the kernel's; `kbuildpy kernels` lists the kernel trees that are installed here"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
