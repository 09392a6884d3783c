# SPDX-License-Identifier: GPL-2.0-only
"""How modprobe finds modules of a system extension: by lines of modprobe.d, not by depmod's index.

An extension is laid over /usr, and the index is one file for all modules of a kernel. An extension with an index of its
own modules would hide all others; one with an index of all would hide those of the next extension, and of a newer
kernel package. Files below modprobe.d, however, are read one after the other, so each extension can have its own. A
line `install` says what loads a module (modprobe.d(5)); `alias` and `softdep` say what the index would.

The lines work for modprobe, systemd-modules-load and udev, which all ask libkmod. `modinfo NAME` does not read them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.package.module_package import ModulePackage, PackagedModule


def modprobe_config(package: ModulePackage) -> str:
    """The file for all modules of `package`."""
    lines = [
        f"# Modules of {package.name} {package.version}, for Linux {package.release}: an extension over /usr",
        "# cannot add to the index that depmod makes. modprobe reads this instead.",
    ]
    for module in package.modules:
        lines += _lines(module)
    return "".join(f"{line}\n" for line in lines)


def _lines(module: PackagedModule) -> Iterator[str]:
    for alias in dict.fromkeys(module.info.values("alias")):
        # (what a line cannot have: such an alias could be none that the kernel asks for)
        if alias.isprintable() and not set(" \t#\\") & set(alias):
            yield f"alias {alias} {module.name}"
    before, after = module.info.needs.before, module.info.needs.after
    if before or after:
        parts = (["pre:", *before] if before else []) + (["post:", *after] if after else [])
        yield f"softdep {module.name} {' '.join(parts)}"
    needs = " ".join(name.replace("-", "_") for name in module.info.needs.modules)
    # (kmod gives a line to /bin/sh; the kernel that runs is asked, for the extension may be there in another one)
    load = f'/sbin/insmod "/usr/lib/modules/$(uname -r)/{module.place}" $CMDLINE_OPTS'
    yield f"install {module.name} {f'/sbin/modprobe -a {needs} && ' if needs else ''}{load}"
