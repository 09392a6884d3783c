# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel image comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.in_tree import fetch_kernel_modules

RELEASE = "0.0.1-none"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory that only this test sees."""
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("place", [f"boot/vmlinuz-{RELEASE}", f"lib/modules/{RELEASE}/vmlinuz"])
def test_an_installed_image_is_found(tmp_path: Path, place: str) -> None:
    image = tmp_path / place
    image.parent.mkdir(parents=True)
    image.touch()
    assert find_kernel_image(RELEASE, root=tmp_path) == image


def test_an_image_fetched_earlier_is_found(tmp_path: Path, own_cache: Path) -> None:
    image = own_cache / f"images/vmlinuz-{RELEASE}"
    image.parent.mkdir(parents=True)
    image.touch()
    assert find_kernel_image(RELEASE, root=tmp_path) == image
    assert fetch_kernel_image(RELEASE) == image


def test_a_missing_image_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=RELEASE) as missing:
        find_kernel_image(RELEASE, root=tmp_path)
    assert missing.value.hint == f"apt-get install linux-image-{RELEASE}"


@pytest.mark.parametrize(
    ("package", "place"),
    [
        (f"linux-image-{RELEASE}", f"boot/vmlinuz-{RELEASE}"),
        (f"linux-image-{RELEASE}-unsigned", f"boot/vmlinuz-{RELEASE}"),
        (f"linux-binary-{RELEASE}", f"usr/lib/modules/{RELEASE}/vmlinuz"),
        (f"linux-binary-unsigned-{RELEASE}", f"usr/lib/modules/{RELEASE}/vmlinuz"),
    ],
)
def test_an_image_is_taken_out_of_the_package_that_has_it(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, package: str, place: str
) -> None:
    def extract(name: str, directory: Path, *, architecture: str = "") -> None:
        if name == package:
            (directory / place).parent.mkdir(parents=True)
            (directory / place).write_bytes(b"kernel")
        elif "binary" not in package or name != f"linux-image-{RELEASE}":
            raise KbuildError(f"cannot download {name}")

    monkeypatch.setattr("kbuildpy.vm.image.extract", extract)
    assert fetch_kernel_image(RELEASE) == own_cache / f"images/vmlinuz-{RELEASE}"
    assert fetch_kernel_image(RELEASE).read_bytes() == b"kernel"


def test_packages_without_an_image_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbuildpy.vm.image.extract", lambda *words, **options: None)
    with pytest.raises(KbuildError, match=f"packages of {RELEASE} have no kernel image"):
        fetch_kernel_image(RELEASE)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")
def test_a_package_that_does_not_exist_leaves_nothing_behind(own_cache: Path) -> None:
    with pytest.raises(KbuildError, match=f"cannot download linux-image-{RELEASE}"):
        fetch_kernel_image(RELEASE)
    assert not [file for file in own_cache.rglob("*") if file.is_file()]


def test_modules_that_another_run_unpacked_meanwhile_are_taken(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    def extract(release: str, directory: Path, architecture: str) -> None:
        (directory / "lib/modules" / release / "kernel").mkdir(parents=True)
        theirs = own_cache / "modules" / release
        theirs.mkdir(parents=True)
        (theirs / "modules.dep").write_text("kernel/theirs.ko:\n")

    monkeypatch.setattr("kbuildpy.vm.in_tree._extract", extract)
    assert list(fetch_kernel_modules(RELEASE).files()) == ["theirs"]


def test_an_index_of_what_was_added_to_headers_is_not_the_kernels(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, tmp_path: Path
) -> None:
    added = tmp_path / "lib/modules" / RELEASE
    added.mkdir(parents=True)
    (added / "modules.dep").write_text("updates/added.ko:\n")

    def extract(release: str, directory: Path, architecture: str) -> None:
        (directory / "lib/modules" / release / "kernel").mkdir(parents=True)

    def depmod(words: list[str], **_: object) -> None:
        (Path(str(words[2])) / "lib/modules" / RELEASE / "modules.dep").write_text("kernel/theirs.ko:\n")

    def no_package(release: str, directory: Path, architecture: str) -> None:
        raise KbuildError("no such package")

    monkeypatch.setattr("kbuildpy.vm.in_tree._extract", no_package)
    assert list(fetch_kernel_modules(RELEASE, root=tmp_path).files()) == ["added"]
    monkeypatch.setattr("kbuildpy.vm.in_tree._extract", extract)
    monkeypatch.setattr("kbuildpy.vm.in_tree.run", depmod)
    assert list(fetch_kernel_modules(RELEASE, root=tmp_path).files()) == ["theirs"]
    fetched = own_cache / "kernels/lib/modules" / RELEASE
    (fetched / "kernel").mkdir(parents=True)
    (fetched / "modules.dep").write_text("kernel/fetched.ko:\n")
    assert list(fetch_kernel_modules(RELEASE, root=tmp_path).files()) == ["fetched"]
