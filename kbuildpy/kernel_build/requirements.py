# SPDX-License-Identifier: GPL-2.0-only
"""What building a kernel takes, looked at before it begins: programs, their versions, room on the disk.

The least versions are the tree's own (scripts/min-tool-version.sh since 5.13, before that Documentation).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.compiler import package_of_compiler
from kbuildpy.kernel_build.recipe import KernelRecipe, Toolchain
from kbuildpy.program_packages import install_command
from kbuildpy.run import run

PROGRAMS = {
    "make": "make",
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "perl": "perl",
    "tar": "tar",
    "xz": "xz-utils",
    "gcc": "gcc",
    "depmod": "kmod",
}
"""Programs that each kernel takes, the host's compiler among them, and Debian's packages that have them."""
HEADERS = {"gelf.h": "libelf-dev", "stdio.h": "libc6-dev"}
"""Headers that each kernel takes, and Debian's packages that have them."""
OF_OPTIONS = {
    "DEBUG_INFO_BTF": {"pahole": "pahole"},
    "MODULE_SIG": {"openssl": "openssl"},
    "KERNEL_ZSTD": {"zstd": "zstd"},
    "RUST": {"rustc": "rustc", "bindgen": "bindgen", "rustfmt": "rustfmt"},
}
"""Options, and the programs that they take besides, with their packages."""
HEADERS_OF_OPTIONS = {"GENDWARFKSYMS": {"dwarf.h": "libdw-dev", "elfutils/libdwfl.h": "libdw-dev"}}
"""Options, and the headers that they take besides, with their packages."""
_INCLUDES = ("/usr/include", "/usr/local/include")
SSL_HEADER = Path("/usr/include/openssl/opensslv.h")
_BUILT = 1_500_000_000
"""Bytes that a small kernel takes while it is built, about."""
_NUMBERS = re.compile(r"\d+(?:\.\d+)+")


def require_tools(recipe: KernelRecipe) -> None:
    """Raise `KbuildError` for a program that is missing or too old for the sources of `recipe`."""
    require_programs(recipe.toolchain, recipe.options)
    _require_gnu_awk(recipe)
    _require_versions(recipe)


def require_programs(toolchain: Toolchain, options: Mapping[str, str]) -> None:
    """Raise `KbuildError` for the programs and headers that are missing for a kernel with `options` (symbol without
    CONFIG_ -> value)."""
    missing = missing_packages(toolchain, options)
    if missing:
        raise KbuildError(f"a kernel cannot be built without {' '.join(missing)}", hint=install_command(missing))


def missing_packages(toolchain: Toolchain, options: Mapping[str, str]) -> list[str]:
    """Debian's packages with the programs and headers that are missing for a kernel with `options`."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=search) is None}
    missing |= {package for header, package in HEADERS.items() if not _has_header(header)}
    for option, programs in OF_OPTIONS.items():
        if options.get(option) == "y":
            missing |= {package for program, package in programs.items() if shutil.which(program) is None}
    for option, headers in HEADERS_OF_OPTIONS.items():
        if options.get(option) == "y":
            missing |= {package for header, package in headers.items() if not _has_header(header)}
    if options.get("MODULE_SIG") == "y" and not SSL_HEADER.exists():
        missing.add("libssl-dev")
    for program in _compilers(toolchain):
        if shutil.which(program) is None:
            missing.add(package_of_compiler(program))
    if options.get("GCC_PLUGINS") == "y" and not toolchain.llvm:
        missing |= _missing_for_plugins(toolchain.compiler)
    return sorted(missing)


def require_room(place: Path) -> None:
    """Raise `KbuildError` if the disk of `place` has no room for the build of a small kernel."""
    free = shutil.disk_usage(place).free
    if free < _BUILT:
        raise KbuildError(
            f"{place}: there is no room: a small kernel takes {_BUILT / 1e9:.1f} GB while it is built, "
            f"{free / 1e9:.1f} GB are free",
            hint="free some room, remove kernels (kbuildpy kernels --remove PATTERN), or set KBUILDPY_CACHE to a "
            "directory on another disk",
        )


def _compilers(toolchain: Toolchain) -> list[str]:
    if not toolchain.llvm:
        return [toolchain.compiler]
    version = "" if toolchain.llvm.endswith("/") else toolchain.llvm.removeprefix("1")
    prefix = toolchain.llvm if toolchain.llvm.endswith("/") else ""
    return [f"{prefix}{name}{version}" for name in ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy")]


def _missing_for_plugins(compiler: str) -> set[str]:
    """The packages that are missing for plugins of `compiler`, which are C++ programs (scripts/gcc-plugins/Kconfig
    asks for the same header)."""
    missing = set() if shutil.which("g++") else {"g++"}
    if shutil.which(compiler) is None:
        return missing
    place = run([compiler, "-print-file-name=plugin"], check=False).text.strip()
    if not Path(place, "include/plugin-version.h").is_file():
        version = run([compiler, "-dumpversion"], check=False).text.strip().partition(".")[0]
        package = package_of_compiler(compiler)
        triplet = package.partition("gcc")[2].lstrip("-0123456789")
        missing.add(f"gcc-{version}-plugin-dev{f'-{triplet}' if triplet else ''}")
    return missing


def _require_gnu_awk(recipe: KernelRecipe) -> None:
    """A list of revoked digests is checked by a script that only GNU awk understands."""
    listed = recipe.options.get("SYSTEM_BLACKLIST_HASH_LIST", '""') not in ("", '""', "n")
    if not listed or not (recipe.source.path / "certs/check-blacklist-hashes.awk").is_file():
        return
    if shutil.which("awk") is None or "GNU Awk" not in run(["awk", "--version"], check=False).text:
        found = shutil.which("gawk")
        raise KbuildError(
            "a kernel with CONFIG_SYSTEM_BLACKLIST_HASH_LIST cannot be built without gawk as awk",
            hint=f"update-alternatives --set awk {found}" if found else install_command(["gawk"]),
        )


def _require_versions(recipe: KernelRecipe) -> None:
    source, toolchain = recipe.source.path, recipe.toolchain
    tools = [("llvm", toolchain.compiler)] if toolchain.llvm else [("gcc", toolchain.compiler)]
    if recipe.options.get("RUST") == "y":
        tools += [("rustc", os.environ.get("RUSTC", "rustc")), ("bindgen", os.environ.get("BINDGEN", "bindgen"))]
    for name, program in tools:
        least, found = _least(source, name, toolchain), _version(program)
        if least and found and found < least:
            raise KbuildError(
                f"{program} {_shown(found)} is too old: these sources ({recipe.source.version}) want {name} "
                f"{_shown(least)} or later (scripts/min-tool-version.sh)",
                hint="install a newer one, or name older sources",
            )


def _least(source: Path, name: str, toolchain: Toolchain) -> tuple[int, ...]:
    script = source / "scripts/min-tool-version.sh"
    if not script.is_file():
        return ()
    environ = {"PATH": os.environ.get("PATH", ""), "SRCARCH": toolchain.machine.srcarch}
    return _numbers(run(["sh", script, name], env=environ, check=False).text)


def _version(program: str) -> tuple[int, ...]:
    if shutil.which(program) is None:
        return ()
    return _numbers(run([program, "--version"], check=False, env={**os.environ, "LC_ALL": "C"}).text)


def _numbers(text: str) -> tuple[int, ...]:
    found = _NUMBERS.search(text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _shown(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _has_header(name: str) -> bool:
    more = [os.environ.get(variable, "") for variable in ("C_INCLUDE_PATH", "CPATH")]
    places = [*_INCLUDES, *filter(None, ":".join(more).split(":"))]
    return any((Path(place) / name).is_file() for place in places)
