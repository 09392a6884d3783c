# SPDX-License-Identifier: GPL-2.0-only
"""A module compressed as its kernel tree does it, after it was unpacked to be signed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.install.module import compressed
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.kernel.stated import stated_release

COMPRESSIONS = {"gzip": "GZIP", "xz": "XZ", "zstd": "ZSTD"}
"""What Kbuild calls each (kernel/module/Kconfig: MODULE_COMPRESS_*)."""

RulesFor = Callable[[str, Mapping[str, str]], InstallRules]
"""The rules of the tree for modules that say they are for this release ("" if they do not), under these variables."""


def packer(rules_for: RulesFor, environ: Mapping[str, str]) -> Callable[[bytes, str, Path], bytes]:
    """A function `pack(module, compression, file)` that compresses a module as its tree's `modules_install` does.

    It raises `KbuildError` where the tree cannot compress so, and what `rules_for` raises.
    """
    known: dict[tuple[str, str], tuple[InstallRules, dict[str, str]]] = {}
    lock = threading.Lock()

    def pack(module: bytes, name: str, source: Path) -> bytes:
        if name not in COMPRESSIONS:
            raise KbuildError(
                f"it is compressed with {name}, which no kernel uses for modules",
                hint="decompress the module, and sign that",
            )
        release = stated_release(module)
        # (locked: make is run for the answer, and many modules come at once)
        with lock:
            if (release, name) not in known:
                rules = rules_for(release, _variables(name))
                known[release, name] = rules, rules.environment_for(environ, "")
            rules, env = known[release, name]
        if not rules.compress:
            raise KbuildError(
                f"kernel {rules.release} does not compress modules with {name}",
                hint="decompress, sign and compress it yourself",
            )
        return compressed(module, rules, env, source)

    return pack


def _variables(name: str) -> dict[str, str]:
    """The variables that make Kbuild compress with `name`."""
    chosen = {f"CONFIG_MODULE_COMPRESS_{word}": "y" if word == COMPRESSIONS[name] else "" for word in _CHOICES}
    # (up to 5.12, and from 6.12 on, a symbol of its own switches compression on)
    return {"CONFIG_MODULE_COMPRESS": "y", "CONFIG_MODULE_COMPRESS_ALL": "y", **chosen}


_CHOICES = (*COMPRESSIONS.values(), "NONE")
