# SPDX-License-Identifier: GPL-2.0-only
"""The directives of a dkms.conf, of DKMS 3.0 to 3.4 (dkms(8), DKMS.CONF)."""

from __future__ import annotations

import re

CONF = (
    *("CLEAN", "PACKAGE_NAME", "PACKAGE_VERSION", "POST_ADD", "POST_BUILD", "POST_INSTALL", "POST_REMOVE"),
    *("PRE_BUILD", "PRE_INSTALL", "BUILD_DEPENDS", "BUILD_DEPENDS_REBUILD", "BUILD_EXCLUSIVE_KERNEL"),
    *("BUILD_EXCLUSIVE_KERNEL_MIN", "BUILD_EXCLUSIVE_KERNEL_MAX", "BUILD_EXCLUSIVE_ARCH", "BUILD_EXCLUSIVE_CONFIG"),
    *("build_exclude", "OBSOLETE_BY", "MAKE", "MAKE_MATCH", "PATCH", "PATCH_MATCH", "BUILT_MODULE_NAME"),
    *("BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION", "STRIP", "AUTOINSTALL", "NO_WEAK_MODULES"),
    *("SIGN_FILE", "MOK_SIGNING_KEY", "MOK_CERTIFICATE", "REMAKE_INITRD", "MODULES_CONF", "MODULES_CONF_OBSOLETES"),
    *("MODULES_CONF_ALIAS_TYPE", "MODULES_CONF_OBSOLETE_ONLY"),
)
"""In the order in which DKMS takes their values over: a value may name those before it."""

DEPRECATED = (
    *("REMAKE_INITRD", "MODULES_CONF", "MODULES_CONF_OBSOLETES", "MODULES_CONF_ALIAS_TYPE"),
    "MODULES_CONF_OBSOLETE_ONLY",
)
"""Directives that DKMS 3 reads and does nothing about."""

FRAMEWORK = (
    *("source_tree", "dkms_tree", "install_tree", "tmp_location", "verbose", "symlink_modules"),
    *("autoinstall_all_kernels", "modprobe_on_install", "sign_file", "mok_signing_key", "mok_certificate"),
)
"""The settings of /etc/dkms/framework.conf."""

_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+|declare[ \t]+)?([A-Z][A-Z0-9_]*)(?:\[[^\]]*\])?\+?=", re.MULTILINE)


def unknown_directives(text: str) -> tuple[str, ...]:
    """The names in capitals that the dkms.conf `text` assigns to, and that neither DKMS nor the file itself reads:
    misspelt directives, or those of a later DKMS."""
    names = dict.fromkeys(_ASSIGNMENT.findall(text))
    return tuple(name for name in names if name not in CONF and not re.search(rf"\$\{{?[#!]?{name}\b", text))
