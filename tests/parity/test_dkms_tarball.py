# SPDX-License-Identifier: GPL-2.0-only
"""Archives of packages: what dkms packs kbuildpy unpacks, and the other way round."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from tests.support.dkms_peer import dkms, ours

pytestmark = [pytest.mark.parity, pytest.mark.skipif(os.geteuid() != 0, reason="dkms wants root")]

KERNELS, ARCH = ("6.1.0-9-none", "6.2.0-1-none"), os.uname().machine
CONF = "PACKAGE_NAME=p\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n"
PEERS: tuple[Callable[..., Completed], ...] = (dkms, ours)
# (of several kernels, dkms 3.0 packs and loads the modules of the first one only)
FORMS = {
    "sources and modules": ["-k", KERNELS[1]],
    "sources only": ["--source-only"],
    "modules only": ["--binaries-only", "-k", f"{KERNELS[0]}/{ARCH}"],
}


def write(home: Path) -> None:
    """A machine on which a package was built for two kernels."""
    source = home / "src/p-1"
    (source / "lib").mkdir(parents=True)
    (source / ".git").mkdir()
    (source / "build").mkdir()
    (source / "build/script").write_text("a folder of the package")
    (source / "dkms.conf").write_text(CONF)
    (source / "lib/a.c").write_text("int a;")
    (source / "a.c").symlink_to("lib/a.c")
    (source / "pre.sh").write_text("#!/bin/sh\n")
    (source / "pre.sh").chmod(0o755)
    (home / "dkms/p/1").mkdir(parents=True)
    (home / "dkms/p/1/source").symlink_to(source)
    for kernel in KERNELS:
        for name in ("module/m.ko", "log/make.log"):
            path = home / "dkms/p/1" / kernel / ARCH / name
            path.parent.mkdir(parents=True)
            path.write_text(f"{name} of {kernel}")


def listed(place: Path) -> dict[str, str]:
    """The files, links and folders of a machine, but for what is kbuildpy's or DKMS' own."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}".replace(str(place), "")
        elif path.is_file():
            found[name] = f"{path.stat().st_mode & 0o111:o} {path.read_text(errors='replace')}"
    own = ("dkms/.kbuildpy", "dkms/dkms_dbversion")
    return {name: text for name, text in found.items() if not name.startswith(own)}


@pytest.mark.parametrize("form", FORMS)
def test_what_one_packs_the_other_loads(form: str, tmp_path: Path) -> None:
    (start := tmp_path / "start").mkdir()
    write(start)
    archives: list[Path] = []
    for number, packs in enumerate(PEERS):
        archive = tmp_path / f"{number}.dkms.tar.gz"
        done = packs("mktarball", "p/1", *FORMS[form], "--archive", archive, home=start)
        assert done.returncode == 0, done.text + done.error_text
        archives.append(archive)
    machines = []
    for number, loads in zip((0, 0, 1), (*PEERS, dkms), strict=True):
        home = tmp_path / f"{number}-{loads.__name__}"
        for name in ("dkms", "src", "modules"):
            (home / name).mkdir(parents=True)
        done = loads("ldtarball", archives[number], home=home)
        # (dkms ends with 1 where there are no sources, though it has done all)
        assert done.returncode == (form == "modules only" and loads is dkms), done.text + done.error_text
        machines.append(listed(home))
    assert machines[1:] == machines[:1] * 2
    assert dkms("status", home=home).text == ours("status", home=home).text
    assert ("src/p-1/lib/a.c" in machines[0]) == (form != "modules only")
    assert any("make.log" in name for name in machines[0]) == (form != "sources only")


def test_the_modules_of_all_kernels_are_packed_and_loaded(tmp_path: Path) -> None:
    start, home = tmp_path / "start", tmp_path / "home"
    start.mkdir()
    home.mkdir()
    write(start)
    assert ours("mktarball", "p/1", "--all", "--archive", tmp_path / "all.tar", home=start).returncode == 0
    assert ours("ldtarball", "--archive", tmp_path / "all.tar", home=home).returncode == 0
    assert listed(home) == listed(start)
    assert dkms("status", home=home).text == dkms("status", home=start).text


def test_an_archive_has_dkms_name_and_members(tmp_path: Path) -> None:
    write(tmp_path)
    names = []
    for packs in PEERS:
        assert packs("mktarball", "-m", "p", "-v", "1", "-k", KERNELS[0], home=tmp_path).returncode == 0
        [archive] = (tmp_path / "dkms/p/1/tarball").iterdir()
        with tarfile.open(archive) as file:
            names.append((archive.name, {member.name for member in file if member.isfile() or member.issym()}))
        archive.unlink()
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with an archive of its package, and an empty one."""
    home = tmp_path_factory.mktemp("machine")
    write(home)
    assert ours("mktarball", "p/1", "--all", "--archive", home / "good.tar.gz", home=home).returncode == 0
    with tarfile.open(home / "empty.tar.gz", "w:gz"):
        pass
    return home


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("mktarball", "p/1", "-k", "6.9"), 6),
        (("mktarball", "p/2", "--all"), 3),
        (("mktarball", "p/1", "--source-only", "--binaries-only"), 8),
        (("ldtarball", "/nonexistent.tar.gz"), 2),
        (("ldtarball", "empty.tar.gz"), 7),
        (("ldtarball", "good.tar.gz"), 8),
        (("--weak-modules", "status"), 2),
    ],
)
def test_what_dkms_refuses_is_refused_with_its_status(words: tuple[str, ...], status: int, machine: Path) -> None:
    paths = [str(machine / word) if word.endswith(".tar.gz") else word for word in words]
    before = listed(machine)
    done = ours(*paths, home=machine)
    assert (done.returncode, "Traceback" in done.error_text) == (status, False), done.error_text
    assert dkms(*paths, home=machine).returncode == status
    assert listed(machine) == before


def test_the_version_is_that_of_the_dkms_that_is_the_model(tmp_path: Path) -> None:
    for word in ("-V", "--version"):
        assert ours(word, home=tmp_path).text == dkms(word, home=tmp_path).text != ""
