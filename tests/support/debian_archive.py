# SPDX-License-Identifier: GPL-2.0-only
"""An archive of Debian packages that are made up, with the machine's own apt and dpkg-deb; nobody has to be root.

`APT_CONFIG` leads apt to the archive and to lists of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.fake_trees import TOP_MAKEFILE

SETTINGS = """APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "root";
Dir::Etc::SourceList "{place}/sources.list";
Dir::Etc::SourceParts "-";
Dir::Etc::Parts "-";
Dir::Etc::Preferences "-";
Dir::Etc::PreferencesParts "-";
Dir::State "{place}/state";
Dir::State::status "{place}/status";
Dir::Cache "{place}/cache";
"""


@dataclass(frozen=True)
class DebianArchive:
    """An archive in `place`, which need not be there yet."""

    place: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables for a program that is to see this archive alone."""
        return {"APT_CONFIG": str(self.place / "apt.conf")}

    def add(
        self,
        name: str,
        version: str = "1",
        *,
        architecture: str = "amd64",
        files: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        depends: str = "",
        size: int = 1,
    ) -> Path:
        """Add a package with `files` (their contents) and symbolic `links`; `size` is what it says of itself, in KiB.
        The archive offers it after `publish`."""
        root = self.place / "roots" / name
        shutil.rmtree(root, ignore_errors=True)
        for path, text in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        for path, target in (links or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
        (root / "DEBIAN").mkdir(parents=True)
        fields = {
            "Package": name,
            "Version": version,
            "Architecture": architecture,
            "Installed-Size": str(size),
            "Maintainer": "Nobody <nobody@localhost>",
            **({"Depends": depends} if depends else {}),
            "Description": "made up",
        }
        control = "".join(f"{field}: {text}\n" for field, text in fields.items())
        (root / "DEBIAN/control").write_text(control)
        archive = self.place / "pool" / f"{name}_{version}_{architecture}.deb"
        archive.parent.mkdir(parents=True, exist_ok=True)
        for old in archive.parent.glob(f"{name}_*"):
            old.unlink()
        run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, archive])
        contents = archive.read_bytes()
        digest = hashlib.sha256(contents).hexdigest()
        listed = f"{control}Filename: pool/{archive.name}\nSize: {len(contents)}\nSHA256: {digest}\n"
        archive.with_name(f"{archive.name}.listed").write_text(listed)
        return archive

    def add_kernel(self, release: str, version: str = "1", *, common: str, kbuild: str = "linux-kbuild-6.1") -> None:
        """Add the headers of a kernel as Debian packs them, and its image with a module."""
        source, own = f"usr/src/{common}", f"usr/src/linux-headers-{release}"
        shared = {f"{{}}/{name}": f"../../lib/{kbuild}/{name}" for name in ("scripts", "tools")}
        programs = ("Kbuild.include", "basic/fixdep", "mod/modpost", "module.lds")
        self.add(
            kbuild,
            version,
            files={f"usr/lib/{kbuild}/{path}": "" for path in ("tools/x", *(f"scripts/{name}" for name in programs))},
            depends="libc6, libnone1 (>= 2)",
        )
        self.add(
            common,
            version,
            architecture="all",
            files={f"{source}/Makefile": TOP_MAKEFILE, f"usr/share/doc/{common}/copyright": ""},
            links={path.format(source): target for path, target in shared.items()},
        )
        self.add(
            f"linux-headers-{release}",
            version,
            files={
                f"{own}/Makefile": f"include /{source}/Makefile\n",
                f"{own}/include/config/auto.conf": "CONFIG_X86=y\nCONFIG_64BIT=y\n",
                f"{own}/include/generated/autoconf.h": "",
                f"{own}/include/generated/utsrelease.h": f'#define UTS_RELEASE "{release}"\n',
                f"{own}/Module.symvers": "",
            },
            links={
                **{path.format(own): target for path, target in shared.items()},
                f"lib/modules/{release}/build": f"/{own}",
                f"lib/modules/{release}/source": f"/{source}",
            },
            depends=f"{common} (= {version}), {kbuild} (>= {version})",
        )
        self.add(
            f"linux-image-{release}",
            version,
            files={
                f"boot/vmlinuz-{release}": "an image",
                f"boot/config-{release}": "",
                f"lib/modules/{release}/kernel/a.ko": "",
            },
        )

    def publish(self) -> None:
        """Have apt see the packages that were added."""
        listed = [path.read_text() for path in sorted((self.place / "pool").glob("*.listed"))]
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "Packages").write_text("\n".join(listed))
        (self.place / "sources.list").write_text(f"deb [trusted=yes] file:{self.place} ./\n")
        (self.place / "apt.conf").write_text(SETTINGS.format(place=self.place))
        (self.place / "status").touch()
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        run(["apt-get", "update", "-q"], env={**os.environ, **self.environment})


def archive_of_two_kernels(place: Path) -> DebianArchive:
    """An archive with a plain and a cloud kernel, which share headers and programs, and packages that bring in one of
    them; where there is no apt the test is skipped."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        pytest.skip("there is no apt")
    archive = DebianArchive(place)
    for flavour in ("", "cloud-"):
        archive.add_kernel(f"6.1.0-1-{flavour}amd64", common="linux-headers-6.1.0-1-common")
    archive.add("linux-headers-amd64", depends="linux-headers-6.1.0-1-amd64")
    archive.add("linux-headers-6.1-amd64", depends="linux-headers-6.1.0-1-amd64")
    archive.add("linux-image-6.0.0-9-amd64", files={"boot/vmlinuz-6.0.0-9-amd64": "an image"})
    archive.publish()
    return archive
