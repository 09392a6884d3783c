"""Commands that the README tells users to run, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_foreign_headers_are_unpacked_into_a_system_whose_lib_is_a_link(tmp_path: Path) -> None:
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is Debian's")
    root, package = tmp_path / "root", tmp_path / "package"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    # As Debian 12's headers: they still have files below /lib.
    (package / "lib/modules/RELEASE").mkdir(parents=True)
    (package / "lib/modules/RELEASE/build").symlink_to("/usr/src/linux-headers-RELEASE")
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text(
        "Package: headers\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
    )
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "PACKAGE.deb"], check=True, capture_output=True)
    [command] = re.findall(r"^    (dpkg-deb .*) /$", README.read_text(), re.MULTILINE)
    subprocess.run(["sh", "-c", f"{command} {root}"], cwd=tmp_path, check=True)
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/modules/RELEASE/build").is_symlink()
