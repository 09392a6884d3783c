# SPDX-License-Identifier: GPL-2.0-only
"""A Debian package for one kernel release: NAME-modules-RELEASE_VERSION_ARCH.deb.

It depends on the package of that kernel's image, so that it goes when that goes. Its files are below /usr/lib/modules:
Debian 12 and later have /lib as a link to there, and packages that have files below /lib are refused by Debian 13's
tools.
"""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.package.deb_documents import changelog, copyright_file
from kbuildpy.package.deb_file import build_deb, files_in_deb
from kbuildpy.package.deb_scripts import postinst, postrm, triggers
from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, below_modules
from kbuildpy.package.module_package import ModulePackage, PackageFile

_ROOT = "usr"


def package_of(package: ModulePackage) -> str:
    """What dpkg calls the package."""
    return f"{package.name}-modules-{_word(package.release)}"


def file_name(package: ModulePackage) -> str:
    """What the file is called."""
    return f"{package_of(package)}_{package.version}_{package.machines.debian}.deb"


def image_package(release: str) -> str:
    """The package of the kernel's image. (No alternative: to remove the image, apt would install the unsigned one.)"""
    return f"linux-image-{_word(release)}"


def require_maintainer(maintainer: str) -> None:
    """Raises `UsageError` for a package that nobody is responsible for."""
    if not maintainer:
        raise UsageError(
            "a Debian package needs a maintainer",
            hint="add --maintainer 'NAME <ADDRESS>', or set DEBFULLNAME and DEBEMAIL",
        )


def _check(package: ModulePackage) -> None:
    require_maintainer(package.maintainer)
    if "_" in package.release:
        # (two releases could become one name)
        raise UsageError(
            f"the release {package.release} has an underscore, which no Debian package's name can have",
            hint="kernels of Debian have none; make another format for this kernel",
        )


def _build(package: ModulePackage, place: BuildPlace) -> BuiltFiles:
    name = package_of(package)
    listed = ", ".join(module.name for module in package.modules)
    control = {
        "Package": name,
        "Version": package.version,
        "Architecture": package.machines.debian,
        "Maintainer": package.maintainer,
        "Depends": ", ".join((image_package(package.release), "kmod", *package.depends)),
        "Section": "kernel",
        "Priority": "optional",
        "Description": f"{package.summary} (for Linux {package.release})\n"
        f" Kernel modules that were built for Linux {package.release}, and for no other\n kernel: {listed}.",
    }
    entry = f"Modules for Linux {package.release}."
    documents = f"usr/share/doc/{name}"
    text = package.copyright or copyright_file(package.name, package.licenses, package.authors)
    files = [
        *package.files(_ROOT),
        PackageFile(f"{documents}/copyright", text.encode(errors="surrogateescape")),
        PackageFile(
            f"{documents}/changelog.gz", changelog(name, package.version, entry, package.maintainer, package.date)
        ),
    ]
    members = {"postinst": postinst(package), "postrm": postrm(package), "triggers": triggers(package)}
    return BuiltFiles(build_deb(file_name(package), control, members, files, package.date, place))


def _modules_in(package: ModulePackage, path: Path, place: BuildPlace) -> dict[str, bytes]:
    return below_modules(files_in_deb(path, place), package, _ROOT)


def _word(release: str) -> str:
    return release.lower()


DEB = PackageFormat("deb", file_name, _check, _build, _modules_in)
