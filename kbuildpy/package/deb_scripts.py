# SPDX-License-Identifier: GPL-2.0-only
"""What dpkg runs for a package of modules: the index of depmod, and the initramfs.

depmod runs at once, for packages that are configured after this one may load the modules. The initramfs is made once
for all packages of one kernel, by a trigger that all of them are interested in: the first one that dpkg calls makes it,
and the others find it newer than the index. When a package is removed, its trigger is gone, too; then the initramfs is
made again only if it has one of the modules in it.
"""

from __future__ import annotations

from kbuildpy.package.module_package import ModulePackage

_TRIGGER = "kbuildpy-modules-"

_HEAD = """#!/bin/sh
set -e

release='{release}'
modules="/lib/modules/$release"
initrd="/boot/initrd.img-$release"

# (without the kernel there is nothing to index)
has_kernel() {{
    [ -e "$modules/modules.order" ] || [ -e "$modules/modules.builtin" ]
}}
"""

_CONFIGURE = """
case "$1" in
configure|abort-upgrade|abort-remove|abort-deconfigure)
    if has_kernel; then
        depmod "$release"
    fi
    if [ -e "$initrd" ]; then
        dpkg-trigger --no-await "{trigger}$release"
    fi
    ;;
triggered)
    if [ -e "$initrd" ] && [ "$initrd" -ot "$modules/modules.dep" ] && command -v update-initramfs >/dev/null; then
        update-initramfs -u -k "$release"
    fi
    ;;
esac
"""

_REMOVE = """
case "$1" in
remove|disappear)
    if has_kernel; then
        depmod "$release"
    fi
    if [ -e "$initrd" ] && command -v lsinitramfs >/dev/null && command -v update-initramfs >/dev/null; then
        if lsinitramfs "$initrd" | grep -q -E '/({names})[.]ko([.]|$)'; then
            update-initramfs -u -k "$release"
        fi
    fi
    ;;
esac
"""


def postinst(package: ModulePackage) -> str:
    """What runs after the files are there, and when the trigger does."""
    return (_HEAD + _CONFIGURE).format(release=package.release, trigger=_TRIGGER)


def postrm(package: ModulePackage) -> str:
    """What runs after the files are gone."""
    names = "|".join(sorted(module.place.rpartition("/")[2].partition(".ko")[0] for module in package.modules))
    return (_HEAD + _REMOVE).format(release=package.release, names=names.replace(".", "[.]").replace("+", "[+]"))


def triggers(package: ModulePackage) -> str:
    """The control file that says which trigger the package is interested in."""
    return f"interest-noawait {_TRIGGER}{package.release}\n"
