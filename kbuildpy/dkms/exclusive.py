# SPDX-License-Identifier: GPL-2.0-only
"""Why a package is not for a kernel: BUILD_EXCLUSIVE_* of its dkms.conf."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.dkms.evaluate import ConfValues
from kbuildpy.dkms.versions import version_key
from kbuildpy.kernel.config import parse_config


def why_excluded(conf: ConfValues, *, kernel: str, arch: str, tree: Path) -> str:
    """A sentence for the first directive that leaves `kernel` out, "" if none does. `tree` is its kernel tree.

    The kernel and the architecture are matched by bash, where the file is evaluated.
    """
    directives = {
        name: conf.first(f"BUILD_EXCLUSIVE_{name}") for name in ("KERNEL", "ARCH", "KERNEL_MIN", "KERNEL_MAX")
    }
    for name, subject in (("KERNEL", kernel), ("ARCH", arch)):
        if directives[name] and not conf.matches[f"BUILD_EXCLUSIVE_{name}", 0]:
            return f"BUILD_EXCLUSIVE_{name}={directives[name]} does not match {subject}"
    least, most = directives["KERNEL_MIN"], directives["KERNEL_MAX"]
    if least and version_key(kernel) < version_key(least):
        return f"BUILD_EXCLUSIVE_KERNEL_MIN={least}: {kernel} is older"
    if most and version_key(kernel) > version_key(most):
        return f"BUILD_EXCLUSIVE_KERNEL_MAX={most}: {kernel} is newer"
    if conf.first("build_exclude"):
        return "the file sets build_exclude"
    return _by_config(conf.first("BUILD_EXCLUSIVE_CONFIG"), tree)


def _by_config(wanted: str, tree: Path) -> str:
    if not wanted:
        return ""
    config = _configuration(tree)
    if config is None:
        return ""
    for word in wanted.split():
        symbol = word.removeprefix("!")
        on = config.get(symbol, "") in ("y", "m")
        if on == word.startswith("!"):
            return f"BUILD_EXCLUSIVE_CONFIG={word}: {symbol} is {'on' if on else 'off'} in this kernel"
    return ""


def _configuration(tree: Path) -> dict[str, str] | None:
    """The kernel's configuration; None without one. (Newer headers packages have no .config, and there DKMS builds
    what the kernel cannot take.)"""
    for name in (".config", "include/config/auto.conf"):
        try:
            return parse_config((tree / name).read_text(errors="surrogateescape"))
        except OSError:
            continue
    return None
