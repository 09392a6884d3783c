# SPDX-License-Identifier: GPL-2.0-only
"""The spec file of a package of modules, and what it provides and requires.

The vocabulary is that of Red Hat's kernel packages: `kernel-uname-r = RELEASE` is provided by a kernel,
`kernel(SYMBOL) = CRC` by a kernel with a stable interface for a symbol of its own, `ksym(SYMBOL) = CRC` by a package of
modules for one that they export, and `kmod(FILE.ko)` for each file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from kbuildpy.package.module_package import ModulePackage, PackageFile


def provides(package: ModulePackage) -> list[str]:
    """What the package provides, sorted."""
    exports = {(item.name, item.crc) for module in package.modules for item in module.info.exports}
    symbols = [f"ksym({name}){_version(crc)}" for name, crc in exports]
    files = [f"kmod({module.place.rpartition('/')[2].partition('.ko')[0]}.ko)" for module in package.modules]
    return sorted({f"{package.name}-kmod = {package.version}", *symbols, *files})


def requires(package: ModulePackage, kernel_symbols: Sequence[str], *, weak: bool) -> list[str]:
    """What the package requires, sorted: its kernel, or with `weak`, which is for every kernel that has the same
    interface, the versions of all `kernel_symbols`; and symbols that modules of other packages export."""
    own = {item.name for module in package.modules for item in module.info.exports}
    found = set() if weak else {f"kernel-uname-r = {_evr(package.release)}"}
    for module in package.modules:
        for item in module.info.imports:
            if item.name in own or item.is_weak:
                continue
            is_of_kernel = item.name in kernel_symbols
            if is_of_kernel and weak:
                found.add(f"kernel({item.name}){_version(item.crc)}")
            elif not is_of_kernel:
                found.add(f"ksym({item.name}){_version(item.crc)}")
    return sorted({*found, *package.depends})


def spec(
    package: ModulePackage,
    files: Sequence[PackageFile],
    *,
    release: str,
    license: str,
    provided: Sequence[str],
    required: Sequence[str],
    weak: bool,
) -> str:
    """The spec file for `files`, of the RPM release `release`. Scripts run depmod, and with `weak` weak-modules, which
    gives other kernels links to the modules."""
    lines = [
        f"Name: kmod-{package.name}",
        f"Version: {package.version}",
        f"Release: {release}",
        f"Summary: {_text(package.summary)}",
        f"License: {_text(license)}",
        "Group: System Environment/Kernel",
        *([f"Packager: {_text(package.maintainer)}"] if package.maintainer else []),
        "AutoReqProv: no",
        *(f"Provides: {_text(item)}" for item in provided),
        *(f"Requires: {_text(item)}" for item in required),
        "Requires(post): /usr/sbin/depmod",
        "Requires(postun): /usr/sbin/depmod",
        "",
        "%description",
        f"Kernel modules that were built for Linux {_text(package.release)}:",
        f"{_text(', '.join(module.name for module in package.modules))}.",
        "",
        "%install",
        'mkdir -p "%{buildroot}"',
        'cp -a "%{payload}/." "%{buildroot}/"',
        "",
        "%files",
        "%defattr(0644,root,root,0755)",
        *(f"%dir /{folder}" for folder in _folders(package, files)),
        *(f"/{_text(file.path)}" for file in files),
        *_scripts(package, weak=weak),
        "",
    ]
    return "\n".join(lines)


def _folders(package: ModulePackage, files: Sequence[PackageFile]) -> list[str]:
    """The directories of the modules below that of their kernel: they go with the last package that has them."""
    parents = {parent for file in files for parent in PurePosixPath(file.path).parents}
    return sorted(str(parent) for parent in parents if package.release in parent.parts[:-1])


def _scripts(package: ModulePackage, *, weak: bool) -> Iterator[str]:
    """(`$1` of %postun is the number of versions that are left: 0 for the removal.)"""
    modules = "\n".join(f"/{file.path}" for file in package.files(""))
    modules = modules.replace("//", "/")
    yield from ("", "%post", f"if [ -e /lib/modules/{package.release}/modules.order ]; then")
    yield from (f"    /usr/sbin/depmod {package.release} || :", "fi")
    if weak:
        yield from ("if [ -x /usr/sbin/weak-modules ]; then", "    /usr/sbin/weak-modules --add-modules <<'END' || :")
        yield from (modules, "END", "fi")
    yield from ("", "%postun", f"if [ -e /lib/modules/{package.release}/modules.order ]; then")
    yield from (f"    /usr/sbin/depmod {package.release} || :", "fi")
    if weak:
        yield from ('if [ "$1" = 0 ] && [ -x /usr/sbin/weak-modules ]; then',)
        yield from ("    /usr/sbin/weak-modules --remove-modules <<'END' || :", modules, "END", "fi")


def _evr(release: str) -> str:
    """A kernel's release as a version and a release of rpm, which have one hyphen between them: 6.1.0-56_amd64."""
    first, hyphen, rest = release.partition("-")
    return f"{first}{hyphen}{rest.replace('-', '_')}"


def _version(crc: int | None) -> str:
    return "" if crc is None else f" = 0x{crc:08x}"


def _text(text: str) -> str:
    """Text in a spec file: nothing in it is a macro, and it is one line."""
    return " ".join(text.split()).replace("%", "%%")
