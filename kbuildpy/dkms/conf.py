# SPDX-License-Identifier: GPL-2.0-only
"""What a dkms.conf says for one kernel, as a value (dkms(8), DKMS.CONF)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DkmsModule:
    """A module of a package."""

    name: str
    """The file that the build makes, without `.ko` (BUILT_MODULE_NAME)."""
    built_in: str
    """Its folder below the build directory, "" or with a slash behind it (BUILT_MODULE_LOCATION)."""
    installed_name: str
    """The name that it is installed by, without `.ko` (DEST_MODULE_NAME)."""
    location: str
    """Where the file wants it to be installed, below /lib/modules/RELEASE (DEST_MODULE_LOCATION)."""
    destination: str
    """Where it is installed: the distribution's folder, where that has one for all modules."""
    strip: bool
    """Whether debug information is removed (STRIP)."""


@dataclass(frozen=True)
class DkmsConf:
    """A dkms.conf, evaluated for a kernel and an architecture."""

    name: str
    """PACKAGE_NAME"""
    version: str
    """PACKAGE_VERSION"""
    modules: tuple[DkmsModule, ...]
    """The modules, in the file's order."""
    make: str
    """The command that builds them, in the shell's language: of MAKE the one that MAKE_MATCH chooses; "" for Kbuild."""
    clean: str
    """CLEAN; "" for Kbuild's. (DKMS 3.1 and later ignore it.)"""
    pre_build: str
    """A script that runs in the build directory before the build (PRE_BUILD), with arguments."""
    post_build: str
    """The same after the build (POST_BUILD)."""
    post_add: str
    """A script that runs in the source directory, once the package is added (POST_ADD)."""
    pre_install: str
    """The same before modules are installed; when it fails, they are not (PRE_INSTALL)."""
    post_install: str
    """The same after modules were installed (POST_INSTALL)."""
    post_remove: str
    """The same after modules were uninstalled (POST_REMOVE)."""
    patches: tuple[str, ...]
    """Files in `patches/` to apply, in order: of PATCH those that PATCH_MATCH chooses."""
    depends: tuple[str, ...]
    """Packages that are installed before this one is built (BUILD_DEPENDS)."""
    depends_rebuild: bool
    """Whether it is built again after one of them was (BUILD_DEPENDS_REBUILD)."""
    obsolete_by: str
    """The kernel that has the modules itself (OBSOLETE_BY)."""
    autoinstall: bool
    """Whether it is built for each new kernel (AUTOINSTALL)."""
    no_weak_modules: bool
    """NO_WEAK_MODULES"""
    excluded: str
    """Why the package is not for this kernel: a sentence; "" where it is (BUILD_EXCLUSIVE_*)."""
    sign_file: str
    """SIGN_FILE"""
    mok_signing_key: str
    """MOK_SIGNING_KEY"""
    mok_certificate: str
    """MOK_CERTIFICATE"""
    deprecated: tuple[str, ...]
    """Directives with a value that DKMS 3 does nothing about, such as REMAKE_INITRD."""
    unknown: tuple[str, ...]
    """Names that the file sets, and that nobody reads: misspelt, or of a later DKMS."""
    said: str
    """What the file printed on standard error, printable."""

    @property
    def identity(self) -> str:
        """NAME/VERSION."""
        return f"{self.name}/{self.version}"
