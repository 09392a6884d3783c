"""A module compressed as its kernel tree does it, for one that was unpacked to be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.install.module import compressed
from kbuildpy.kernel.installing import InstallRules

COMPRESSIONS = {"gzip": "GZIP", "xz": "XZ", "zstd": "ZSTD"}
"""What Kbuild calls each (kernel/module/Kconfig: MODULE_COMPRESS_*)."""

RulesFor = Callable[[bytes, Mapping[str, str]], InstallRules]
"""The rules of a module's tree under these variables."""


def packer(rules_for: RulesFor, environ: Mapping[str, str]) -> Callable[[bytes, str, Path], bytes]:
    """A function of a module, the name of a compression, and the module's file, for the module compressed by what its
    tree's `modules_install` runs; it raises `KbuildError` where the tree does not compress so, or `rules_for` does."""

    def pack(module: bytes, name: str, source: Path) -> bytes:
        if name not in COMPRESSIONS:
            raise KbuildError(
                f"it is compressed with {name}, and no kernel compresses modules so",
                hint="decompress it, and sign what comes out",
            )
        chosen = {f"CONFIG_MODULE_COMPRESS_{word}": "y" if word == COMPRESSIONS[name] else "" for word in _CHOICES}
        # (up to 5.12, and from 6.12 on, there is a symbol for compression at all)
        rules = rules_for(module, {"CONFIG_MODULE_COMPRESS": "y", "CONFIG_MODULE_COMPRESS_ALL": "y", **chosen})
        if not rules.compress:
            raise KbuildError(
                f"kernel {rules.release} does not compress modules with {name}",
                hint="decompress it, sign it, and compress it again",
            )
        return compressed(module, rules, rules.environment_for(environ, ""), source)

    return pack


_CHOICES = (*COMPRESSIONS.values(), "NONE")
