# SPDX-License-Identifier: GPL-2.0-only
"""The note of what a build was called with, in its output: what a proof of its modules needs and no file else tells.

It is written before a module is linked, so that a build with nothing to do writes nothing. It has no number of a
version: a later kbuildpy must be able to read the note of what an earlier one built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kbuildpy import __version__
from kbuildpy.files import replacing

_NOTE = ".kbuildpy/call.json"
_LONGEST = 1 << 20
# Variables of the environment that Kbuild, compilers and linkers read, or that change what they write.
_MATTERS = re.compile(
    r"^(KBUILD_\w+|K(?:C|A|CPP|RUST)FLAGS|(?:CFLAGS|AFLAGS|LDFLAGS|RUSTFLAGS)(?:_\w+)?|EXTRA_\w+FLAGS|CONFIG_\w+"
    r"|ARCH|CROSS_COMPILE|LLVM|LLVM_IAS|CC|LD|AR|NM|STRIP|OBJCOPY|OBJDUMP|READELF|PAHOLE|RUSTC|RUSTUP_(?:HOME|TOOLCHAIN)|RUSTC_\w+"
    r"|HOST\w+|W|SOURCE_DATE_EPOCH|CPATH|C_INCLUDE_PATH|COMPILER_PATH|LIBRARY_PATH|GCC_\w+|CCC_\w+|GNUTARGET"
    r"|LDEMULATION|LD_LIBRARY_PATH|LD_PRELOAD|CCACHE_\w+|SCCACHE_\w+|TZ)$"
)
# What a makefile may mention, and that says nothing about the build, or that must not be written down.
_NEVER = re.compile(
    r"^(PATH|HOME|PWD|OLDPWD|USER|LOGNAME|SHELL|SHLVL|TERM|_|KDIR|KERNELRELEASE|KBUILD_SIGN_PIN|KBUILDPY_\w+"
    r"|MAKEFLAGS|MAKELEVEL|MFLAGS|\w*(?:TOKEN|PASSWORD|PASSPHRASE|SECRET|CREDENTIAL)\w*)$"
)
_NAME = re.compile(rb"\$[({]([A-Za-z_]\w*)|\b(?:ifn?def|export)\s+([A-Za-z_]\w*)")


@dataclass(frozen=True)
class DeclaredKbuild:
    """The Kbuild file of a module that an SConstruct declares."""

    below: str
    """The folder below the module directory that it stands for; "" for the directory itself."""
    name: str
    """The module's name."""
    text: str
    """What is in it."""
    coming: tuple[str, ...] = ()
    """The sources that other steps of the build make."""


@dataclass(frozen=True)
class BuildCall:
    """What a build was called with."""

    directory: str
    """The module directory (physical)."""
    objects: str
    """The object part of the kernel tree."""
    variables: Mapping[str, str]
    """The variables that make gets."""
    environment: Mapping[str, str]
    """Those variables of the environment that a build may depend on."""
    declared: tuple[DeclaredKbuild, ...] = ()
    """The modules that an SConstruct declares; none where the directory has a Kbuild file."""
    other_bytes: str = ""
    """The setting under which modules have other bytes than make's (FAST=1, COVERAGE=1); "" for none."""
    kbuildpy: str = __version__
    """The version that built."""


def note_call(out: Path, call: BuildCall) -> None:
    """Write the note of `call` into the output directory `out`, unless it is there. A note that cannot be written is
    not the failure of a build."""
    with suppress(OSError):
        if read_call(out) != call:
            path = out / _NOTE
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as slot:
                slot.write(json.dumps(asdict(call), indent=1).encode(), mode=0o644, durable=False)


def has_call(out: Path) -> bool:
    """Whether there is a note in the output directory `out`."""
    return (out / _NOTE).is_file()


def read_call(out: Path) -> BuildCall | None:
    """The call that is noted in the output directory `out`; None if there is no note, or one that nobody can read."""
    try:
        with (out / _NOTE).open("rb") as file:
            value: Any = json.loads(file.read(_LONGEST))
        declared = tuple(DeclaredKbuild(**{**item, "coming": tuple(item["coming"])}) for item in value["declared"])
        call = BuildCall(**{**value, "declared": declared})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (call.directory, call.objects, call.other_bytes, call.kbuildpy)
    pairs = (call.variables, call.environment)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(pair, dict) for pair in pairs):
        return None
    return call


def deciding_environment(environ: Mapping[str, str], makefiles: Iterable[str | Path]) -> dict[str, str]:
    """Those variables of `environ` that a build may depend on: that Kbuild or compilers read, or that one of the
    module's own `makefiles` mentions; sorted. Passphrases and what is called like a secret are left out."""
    mentioned: set[str] = set()
    for path in makefiles:
        with suppress(OSError):
            text = Path(path).read_bytes()
            mentioned.update((one or other).decode() for one, other in _NAME.findall(text))
    return {
        name: environ[name]
        for name in sorted(environ)
        if not _NEVER.match(name) and (name in mentioned or _MATTERS.match(name))
    }


def recorded_environment(recorded: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """The environment for building as it was recorded: the `recorded` variables, and of the `present` ones only those
    that a process needs to run at all."""
    return {**{name: present[name] for name in _NEEDED if name in present}, **recorded}


_NEEDED: Sequence[str] = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG"),
    *("KBUILDPY_CACHE", "XDG_CACHE_HOME", "PYTHONPATH", "VIRTUAL_ENV"),
)
