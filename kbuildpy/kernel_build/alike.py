# SPDX-License-Identifier: GPL-2.0-only
"""Another kernel's configuration, reduced to what decides how modules are built and loaded (`--like`)."""

from __future__ import annotations

from collections.abc import Mapping

from kbuildpy.kernel_build.kconfig import read_kconfig
from kbuildpy.kernel_build.sources import KernelSource

_LEFT_OUT = ("drivers/", "sound/", "fs/", "net/", "crypto/", "virt/", "samples/")
"""Directories whose options say which hardware and protocols a kernel has: these take most of the time to build, and
change little for a module that does not use them."""
_OWN = frozenset(
    {
        "BUILD_SALT",
        "CC_VERSION_TEXT",
        "INITRAMFS_SOURCE",
        "LOCALVERSION",
        "LOCALVERSION_AUTO",
        "MODULE_SIG_KEY",
        "SYSTEM_REVOCATION_KEYS",
        "SYSTEM_TRUSTED_KEYS",
        "DEBUG_INFO_BTF",
    }
)
"""Options that name a distribution's own files, or what this machine may lack."""


def options_like(config: Mapping[str, str], source: KernelSource, srcarch: str) -> dict[str, str]:
    """The options of `config` (CONFIG_ symbol -> value) that stay: what is built in, outside of drivers, file systems,
    protocols and ciphers."""
    kconfig = read_kconfig(source, srcarch)
    found = {}
    for symbol, value in config.items():
        name = symbol.removeprefix("CONFIG_")
        option = kconfig.get(name)
        if option is None or name in _OWN or value == "m" or not option.has_prompt:
            continue
        if not option.files[0].startswith(_LEFT_OUT):
            found[name] = value
    return found
