# SPDX-License-Identifier: GPL-2.0-only
"""The three trees of DKMS in a folder, without a kernel tree: calls of `kbuildpy dkms` over them, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.dkms.places import DkmsPlaces

KERNEL, ARCH = "1.2.3-none", "x86_64"
CONF = "PACKAGE_NAME={name}\nPACKAGE_VERSION={version}\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n{more}\n"


class DkmsTrees:
    """The three trees in a folder, and calls of `kbuildpy dkms` over them."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.places = DkmsPlaces(place / "dkms", place / "src", place / "modules")
        self._capsys = capsys
        for path in (self.places.dkms_tree, self.places.source_tree, self.places.install_tree / KERNEL):
            path.mkdir(parents=True)

    def sources(self, name: str, version: str, more: str = "") -> Path:
        """The sources of a package in SOURCE_TREE."""
        directory = self.places.source_tree / f"{name}-{version}"
        directory.mkdir()
        (directory / "dkms.conf").write_text(CONF.format(name=name, version=version, more=more))
        (directory / "m.c").touch()
        return directory

    def call(self, *words: str) -> tuple[int, str, str]:
        """The exit status and the output of a call."""
        places = self.places
        trees = ["--dkmstree", places.dkms_tree, "--sourcetree", places.source_tree, "--installtree"]
        try:
            status = main(["dkms", *words, *map(str, trees), str(places.install_tree), "--no-depmod"])
        except SystemExit as end:
            status = int(str(end.code))
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def pretend_built(self, name: str, version: str, kernel: str = KERNEL, *, module: str = "m") -> None:
        """Have DKMS' tree say that a package was built; its file is called `module`."""
        folder = self.places.built(name, version, kernel, ARCH)
        (folder / "module").mkdir(parents=True)
        (folder / "log").mkdir()
        (folder / f"module/{module}.ko").write_text(f"module {name} {version}")
