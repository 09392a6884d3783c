# SPDX-License-Identifier: GPL-2.0-only
"""Versions of what a build runs: kbuildpy, Python and its packages, compilers, and other programs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata

from kbuildpy import __version__
from kbuildpy.distribution import os_release_value
from kbuildpy.errors import CommandError
from kbuildpy.run import run

_PACKAGES = ("SCons", "pyelftools", "cryptography", "Jinja2", "tqdm", "python-pkcs11", "distributed", "fsspec", "redis")
_PROGRAMS = ("make", "gcc", "clang", "ld", "objcopy", "pahole", "sparse", "rustc", "bindgen", "depmod")
_EMULATORS = ("qemu-system-x86_64", "qemu-system-aarch64", "qemu-system-riscv64")
_SYSTEM = ("ID", "ID_LIKE", "VERSION_ID", "VERSION_CODENAME")
_PATIENCE = 20


def versions(*, also: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> str:
    """Lines `NAME: VERSION`; `also` are more programs, such as a tree's compiler."""
    given = {**(os.environ if environ is None else environ), "LC_ALL": "C"}
    lines = [
        f"kbuildpy: {__version__}",
        f"Python: {platform.python_version()} ({platform.python_implementation()}), {platform.libc_ver()[1] or '?'}",
        f"Linux: {os.uname().release} {os.uname().machine}",
        *(f"os-release {name}: {os_release_value(name)}" for name in _SYSTEM if os_release_value(name)),
        *(f"{name}: {_package_version(name)}" for name in _PACKAGES),
    ]
    for program in dict.fromkeys((*also, *_PROGRAMS, *_EMULATORS)):
        lines.append(f"{program}: {_program_version(program, given)}")
    return "\n".join(lines) + "\n"


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _program_version(program: str, environ: Mapping[str, str]) -> str:
    path = shutil.which(program, path=f"{environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        return "not installed"
    try:
        done = run([path, "--version"], env=environ, check=False, timeout=_PATIENCE)
    except (CommandError, OSError):
        return "does not tell its version"
    lines = (done.text or done.error_text).splitlines()
    return lines[0].strip() if lines else "does not tell its version"
