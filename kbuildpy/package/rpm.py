# SPDX-License-Identifier: GPL-2.0-only
"""An RPM package of modules: kmod-NAME-VERSION-RELEASE.MACHINE.rpm, built by rpmbuild.

Distributions' settings for rpmbuild change files (strip, compress, debug packages), which would break signatures; here
they are off. What differs by machine and hour (host, date) is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, below_modules, no_check
from kbuildpy.package.module_package import ModulePackage
from kbuildpy.package.payload_tree import read_tree, write_tree
from kbuildpy.package.rpm_spec import provides, requires, spec
from kbuildpy.program_packages import require_installed
from kbuildpy.run import run

_SETTINGS = {
    "_buildhost": "localhost",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "build_mtime_policy": "clamp_to_source_date_epoch",
    "source_date_epoch_from_changelog": "0",
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "__spec_install_post": "%{nil}",
    "_build_id_links": "none",
    "_binary_payload": "w6.xzdio",
    "_binary_filedigest_algorithm": "8",
    "__brp_strip": "%{nil}",
    "_enable_debug_packages": "0",
    "vendor": "%{nil}",
    "distribution": "%{nil}",
    "packager": "%{nil}",
    "disturl": "%{nil}",
    "bugurl": "%{nil}",
}
_ROOT = "usr"

IsKernels = Callable[[str], bool]
"""Whether the kernel of a package exports a symbol, or one of its own modules does."""


def rpm(is_kernels: IsKernels, *, weak: bool = False) -> PackageFormat:
    """The format. With `weak` the package is for each kernel that has the same interface, as far as rpm can tell."""

    def build(package: ModulePackage, place: BuildPlace) -> BuiltFiles:
        return _build(package, place, is_kernels, weak=weak)

    return PackageFormat("rpm", _name, no_check, build, _modules_in)


def rpm_release(release: str) -> str:
    """The Release of a package for the kernel `release`: rpm allows no hyphen there."""
    return f"1.{release.replace('-', '_')}"


def _name(package: ModulePackage) -> str:
    return f"kmod-{package.name}-{package.version}-{rpm_release(package.release)}.{package.machines.rpm}.rpm"


def _build(package: ModulePackage, place: BuildPlace, is_kernels: IsKernels, *, weak: bool) -> BuiltFiles:
    require_installed(("rpmbuild", "rpm2cpio", "cpio"), place.environ)
    files = package.files(_ROOT)
    payload, top = place.scratch / "payload", place.scratch / "rpmbuild"
    write_tree(payload, files, package.date)
    imported = {item.name for module in package.modules for item in module.info.imports}
    kernels = sorted(name for name in imported if is_kernels(name))
    text = spec(
        package,
        files,
        release=rpm_release(package.release),
        license=" and ".join(package.licenses) or "unknown",
        provided=provides(package),
        required=requires(package, kernels, weak=weak),
        weak=weak,
    )
    spec_file = place.scratch / "modules.spec"
    spec_file.write_text(text, errors="surrogateescape")
    settings = {
        **_SETTINGS,
        "_topdir": str(top),
        "_tmppath": str(place.scratch),
        "_rpmdir": str(place.scratch / "packages"),
        "_rpmfilename": "package.rpm",
        "payload": str(payload),
    }
    defines = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    run(
        ["rpmbuild", "-bb", "--quiet", "--target", f"{package.machines.rpm}-linux", *defines, spec_file],
        cwd=place.scratch,
        env=place.environ,
    )
    path = place.scratch / _name(package)
    (place.scratch / "packages/package.rpm").rename(path)
    return BuiltFiles(path)


def _modules_in(package: ModulePackage, path: Path, place: BuildPlace) -> dict[str, bytes]:
    archive = run(["rpm2cpio", path], env=place.environ).stdout
    folder = place.scratch / "unpacked"
    folder.mkdir()
    words = ["cpio", "--extract", "--make-directories", "--no-absolute-filenames", "--quiet"]
    run(words, cwd=folder, input=archive, env=place.environ)
    return below_modules(read_tree(folder), package, _ROOT)
