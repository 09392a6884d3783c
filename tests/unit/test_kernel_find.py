# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees that are installed, the order of releases, and the packages that trees come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find import installed_tree, installed_trees
from kbuildpy.kernel.packages import headers_hint, image_hint, reinstall_hint, release_hint
from kbuildpy.kernel.release import release_order
from tests.support.fake_trees import fake_source, fake_tree


def test_finds_a_tree_that_stands_in_the_modules_directory_itself(tmp_path: Path) -> None:
    objects = fake_tree(tmp_path / "usr/lib/modules/6.9.1-arch1-1/build", "6.9.1-arch1-1")
    assert [tree.objects for tree in installed_trees(tmp_path).trees] == [objects]


def test_passes_over_an_image_without_headers_and_over_source_parts(tmp_path: Path) -> None:
    (tmp_path / "lib/modules/6.1").mkdir(parents=True)
    (tmp_path / "lib/modules/6.1/build").symlink_to(tmp_path / "gone")
    fake_source(tmp_path / "usr/src/linux-headers-6.1-common")
    installed = installed_trees(tmp_path)
    assert (installed.trees, installed.broken) == ((), ())


@pytest.mark.parametrize("place", ["usr/src/linux-headers-6.1.0-56-amd64", "lib/modules/6.1.0-56-amd64/build"])
def test_a_broken_tree_is_the_answer_for_its_own_release_only(place: str, tmp_path: Path) -> None:
    (fake_tree(tmp_path / place, "6.1.0-56-amd64") / "scripts/Kbuild.include").unlink()
    with pytest.raises(KbuildError, match=place):
        installed_tree("6.1.0-56-amd64", tmp_path)
    for release in ("6.1.0-5", "0", "6.1.0-56"):
        assert installed_tree(release, tmp_path) is None


def test_orders_releases_as_a_person_does() -> None:
    ordered = [
        "5.10.0-33-amd64",
        "6.1.0-9-amd64",
        "6.1.0-56-rt-amd64",
        "6.1.0-56-amd64",
        "6.1.192",
        "6.12-rc6",
        "6.12~rc7-amd64",
        "6.12.0",
        "6.12.117+deb12-amd64",
        "6.12.117+deb13-amd64",
        "10.0",
    ]
    backwards = ordered[::-1]
    assert sorted(backwards, key=release_order) == ordered


@pytest.mark.parametrize(
    ("os_release", "machine", "hint"),
    [
        ("ID=debian\n", "x86_64", "apt-get install linux-headers-amd64"),
        ("ID=debian\n", "aarch64", "apt-get install linux-headers-arm64"),
        ("ID=ubuntu\nID_LIKE=debian\n", "x86_64", "apt-get install linux-headers-generic"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "x86_64", "dnf install kernel-devel"),
        ("ID=arch\n", "x86_64", "pacman -S linux-headers"),
        ("ID=unheard-of\n", "x86_64", "install your distribution's kernel headers package"),
    ],
)
def test_names_the_headers_package_in_the_distributions_words(
    tmp_path: Path, os_release: str, machine: str, hint: str
) -> None:
    (tmp_path / "os-release").write_text(os_release)
    assert headers_hint(machine=machine, os_release=tmp_path / "os-release").startswith(hint)


@pytest.mark.parametrize(
    ("os_release", "hint"),
    [
        ("ID=debian", "apt-get install linux-image-'6.1;id'"),
        ("ID=fedora", "dnf install kernel-core-'6.1;id' kernel-modules-'6.1;id'"),
        ("ID=arch", "install the kernel 6.1;id"),
    ],
)
def test_names_the_package_of_a_kernel_for_a_shell(tmp_path: Path, os_release: str, hint: str) -> None:
    (tmp_path / "os-release").write_text(os_release)
    assert image_hint("6.1;id", os_release=tmp_path / "os-release").startswith(hint)


def test_names_the_package_of_one_release_and_of_a_lost_part(tmp_path: Path) -> None:
    (tmp_path / "debian").write_text("ID=debian\n")
    assert (
        release_hint("6.1.0-1-amd64", os_release=tmp_path / "debian") == "apt-get install linux-headers-6.1.0-1-amd64"
    )
    # A release may be out of a module's vermagic, and the hint is for a shell.
    assert release_hint("6.1;id", os_release=tmp_path / "debian") == "apt-get install linux-headers-'6.1;id'"
    lost = Path("/usr/src/linux-headers-6.1.0-1-common")
    assert (
        reinstall_hint(lost, os_release=tmp_path / "debian")
        == "apt-get install --reinstall linux-headers-6.1.0-1-common"
    )
    assert "apt-get" not in reinstall_hint(Path("/home/me/linux"), os_release=tmp_path / "debian")
