# SPDX-License-Identifier: GPL-2.0-only
"""The library that speaks to a token: which file it is, and opening it.

A vendor's library is found as OpenSSL's pkcs11 engine and p11-kit find it: by a path, by PKCS11_MODULE_PATH, by the
name under which p11-kit knows it (/usr/share/p11-kit/modules), and else p11-kit itself is asked, which speaks to all
that are installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11

from kbuildpy.errors import KbuildError
from kbuildpy.program_packages import install_command
from kbuildpy.signing.pkcs11_uri import Pkcs11Uri
from kbuildpy.similar import similar_file

_LIBRARIES = ("/usr/local/lib", "/usr/lib", "/usr/lib64")
_CONFIGURATIONS = ("/etc/pkcs11/modules", "/usr/share/p11-kit/modules")
_FOLDERS = ("pkcs11", "softhsm", "")
"""Where below a folder of libraries distributions keep these."""

_PACKAGES = {
    "softhsm": "softhsm2",
    "opensc": "opensc-pkcs11",
    "ykcs11": "ykcs11",
    "tpm2": "libtpm2-pkcs11-1",
    "opencryptoki": "opencryptoki",
    "p11-kit": "libp11-kit0",
}
"""Debian's packages, by a part of the library's name."""


def open_library(uri: Pkcs11Uri) -> Any:
    """python-pkcs11's object for the library that `uri` names, or that is to be used for one that names none.

    Raises `KbuildError` when there is no such library, or when it does not start.
    """
    path = _library(uri)
    try:
        # (by one name, whatever links lead to it: a library can be started once only)
        return pkcs11.lib(str(path.resolve()))
    except (pkcs11.PKCS11Error, AttributeError) as error:
        reason = str(error).rpartition(f"{path.resolve()}: ")[2] or type(error).__name__
        raise KbuildError(
            f"{path}: the PKCS#11 library does not start: {reason}",
            hint="SoftHSM reads its configuration from the file that SOFTHSM2_CONF names"
            if "soft" in str(path)
            else "",
        ) from error


def _library(uri: Pkcs11Uri) -> Path:
    named = uri.module_path or Path(os.environ.get("PKCS11_MODULE_PATH") or "/")
    if uri.module_path or (uri.module_name is None and named != Path("/")):
        if named.is_file():
            return named.absolute()
        hint = similar_file(named, (".so",)) or _package(named.name)
        raise KbuildError(f"{named}: no such PKCS#11 library", hint=hint)
    name = uri.module_name or "p11-kit"
    for found in _candidates(name):
        if found.is_file():
            return found
    if uri.module_name:
        raise KbuildError(f"{name}: no such PKCS#11 library in {', '.join(_LIBRARIES)}", hint=_package(name))
    raise KbuildError(
        "no PKCS#11 library for the token is known",
        hint="add ?module-path=/path/to/library.so to the URI, or set PKCS11_MODULE_PATH, or "
        + install_command(["libp11-kit0"]),
    )


def _candidates(name: str) -> Iterator[Path]:
    """Where a library called `name` may be."""
    folders = [Path(root) / folder for root in _libraries() for folder in _FOLDERS]
    for configuration in (Path(root) / f"{name}.module" for root in _CONFIGURATIONS):
        if configuration.is_file():
            module = re.search(r"^module:\s*(\S+)", configuration.read_text(errors="replace"), re.MULTILINE)
            # (a path that is not absolute stays below the folder; an absolute one replaces it)
            yield from (folder / module[1] for folder in folders if module)
    for file in (f"{name}.so", f"lib{name}.so", f"lib{name}.so.0", f"lib{name}2.so"):
        yield from (folder / file for folder in folders)


def _libraries() -> Iterator[Path]:
    for root in map(Path, _LIBRARIES):
        yield root
        yield from sorted(root.glob("*-linux-gnu*"))


def _package(name: str) -> str:
    found = next((package for part, package in _PACKAGES.items() if part in name.lower()), "")
    return install_command([found]) if found else "install the library that came with the token"
