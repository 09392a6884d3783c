# SPDX-License-Identifier: GPL-2.0-only
"""How-to pages: their commands print what the pages show, in a project that `kbuildpy new` made."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

import pytest

from tests.support import softhsm
from tests.support.console_blocks import console_steps, output_pattern, own_programs, what_it_prints
from tests.support.documents import ROOT
from tests.support.kernel_trees import trees

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

SHOWN = "6.1.0-57-amd64"
PAGES = {
    "delegated-keys": (),
    "packages": ("dpkg-deb", "rpm", "rpmbuild", "mksquashfs", "zstd"),
    "existing-project": (),
    "release-key-in-hardware": ("softhsm2-util",),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_how_to_page_shows_what_is_printed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = [program for program in PAGES[page] if shutil.which(program) is None]
    if lacking or platform.machine() != "x86_64":
        pytest.skip(f"takes x86-64, and {', '.join(lacking) or 'nothing else'}")
    release = next((tree.release for tree in trees() if re.fullmatch(r"6\.1\.0-\d+-amd64", tree.release)), "")
    if not release:
        pytest.skip("takes the headers of Debian's 6.1")
    environ = {**own_programs(tmp_path / "programs"), "KBUILD_SIGN_PIN": "a secret"}
    place = tmp_path / "place"
    place.mkdir()
    what_it_prints("kbuildpy new misc demo --author 'Jane Doe <jane@example.org>'", place, environ)
    if page == "release-key-in-hardware":
        softhsm.configure(tmp_path, monkeypatch)
        shown = ("SOFTHSM2_CONF", "PKCS11_MODULE_PATH")
        environ |= {name: os.environ[name] for name in shown} | {"KBUILD_SIGN_PIN": "1234"}
    if page in ("delegated-keys", "release-key-in-hardware"):
        what_it_prints(f"kbuildpy build demo -k {release}", place, environ)
    if page == "existing-project":
        place = place / "demo"
        for name in ("SConstruct", "dkms.conf", "README.md", ".gitignore", "Makefile"):
            (place / name).unlink(missing_ok=True)
        shutil.rmtree(place / "tests")
    steps = list(console_steps(ROOT / f"docs/how-to/{page}.md"))
    assert len(steps) > 3
    for command, expected in steps:
        said = what_it_prints(_here(command, release), place, environ)
        assert re.fullmatch(output_pattern(_here(expected, release)), said), f"$ {command}\n{said}"


def _here(text: str, release: str) -> str:
    """A text of the page for the kernel `release`, also where rpm writes it."""
    return text.replace(SHOWN, release).replace(SHOWN.replace("-", "_"), release.replace("-", "_"))
