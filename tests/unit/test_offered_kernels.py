# SPDX-License-Identifier: GPL-2.0-only
"""apt's lists -> kernels, with lists that are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.offered import OfferedKernel, kernels_of_lists, missing_besides, offered_kernels


def stanza(name: str, depends: str = "", *, version: str = "6.1.5-1", architecture: str = "amd64") -> str:
    needed = f"Depends: {depends}\n" if depends else ""
    return (
        f"Package: {name}\nSource: linux\nVersion: {version}\nInstalled-Size: 3\n"
        f"Architecture: {architecture}\n{needed}Size: 1000\nDescription: words\n more words\nTag: x\n"
    )


def kernels(*stanzas: str) -> dict[str, OfferedKernel]:
    return {kernel.release: kernel for kernel in kernels_of_lists("\n".join(stanzas).encode())}


def names(kernel: OfferedKernel) -> tuple[list[str], list[str]]:
    return [package.name for package in kernel.headers], [package.name for package in kernel.image]


OLD = "6.1.0-5-amd64"
DEBIAN_12 = (
    stanza("linux-kbuild-6.1", "libc6 (>= 2.34), libelf1 | libelf2"),
    stanza("linux-headers-6.1.0-5-common", architecture="all"),
    stanza(f"linux-headers-{OLD}", "linux-headers-6.1.0-5-common (= 1), linux-kbuild-6.1 (>= 1), linux-compiler-x"),
    stanza(f"linux-image-{OLD}", "kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool"),
    stanza(f"linux-image-{OLD}-dbg"),
    stanza(f"linux-image-{OLD}-unsigned"),
    stanza("linux-headers-amd64", f"linux-headers-{OLD} (= 1)"),
    stanza("linux-headers-6.1-amd64", f"linux-headers-{OLD} (= 1)"),
    stanza("linux-image-6.1-amd64", f"linux-image-{OLD} (= 1)"),
    stanza("linux-image-amd64-signed-template"),
    stanza("linux-perf"),
)


def test_a_kernel_has_the_packages_that_its_own_ones_need_in_the_order_of_unpacking() -> None:
    found = kernels(*DEBIAN_12)
    assert list(found) == [OLD]
    headers, image = names(found[OLD])
    assert sorted(headers[:-1]) == ["linux-headers-6.1.0-5-common", "linux-kbuild-6.1"]
    assert headers[-1] == f"linux-headers-{OLD}"
    assert image == [f"linux-image-{OLD}"]
    own = found[OLD].headers[-1]
    assert (own.version, own.architecture, own.size, own.unpacked_size) == ("6.1.5-1", "amd64", 1000, 3072)
    assert own.word == f"linux-headers-{OLD}=6.1.5-1"


def test_an_image_may_be_unsigned_and_may_be_in_three_packages() -> None:
    new = "7.3.4+deb14-amd64"
    found = kernels(
        stanza("linux-image-6.1.0-7-amd64-unsigned"),
        stanza(f"linux-image-{new}", f"linux-binary-{new} (= 1), linux-modules-{new} (= 1)"),
        stanza(f"linux-binary-{new}", f"linux-base-{new}"),
        stanza(f"linux-modules-{new}", f"linux-base-{new}"),
        stanza(f"linux-base-{new}"),
    )
    assert names(found["6.1.0-7-amd64"]) == ([], ["linux-image-6.1.0-7-amd64-unsigned"])
    parts = [f"linux-{part}-{new}" for part in ("base", "binary", "image", "modules")]
    assert sorted(names(found[new])[1]) == parts
    assert names(found[new])[1][-1] == f"linux-image-{new}"


def test_headers_that_need_their_image_do_not_bring_it_in() -> None:
    found = kernels(
        stanza("linux-headers-6.12.1-amd64", "linux-image-6.12.1-amd64 (= 1) | linux-image-6.12.1-amd64-unsigned"),
        stanza("linux-image-6.12.1-amd64"),
    )
    assert names(found["6.12.1-amd64"]) == (["linux-headers-6.12.1-amd64"], ["linux-image-6.12.1-amd64"])


def test_the_newest_kernel_comes_last() -> None:
    assert list(kernels(*(stanza(f"linux-image-{name}") for name in ("6.12.1", "6.2.1", "6.1.9")))) == [
        "6.1.9",
        "6.2.1",
        "6.12.1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "Package: linux-headers-6.1.0-1-amd64\n",
        stanza("linux-headers-../../etc"),
        stanza("linux-headers-6.1/../x"),
        stanza("linux-headers-6.1.0-1", version="1 -o Dir::Etc=x"),
        stanza("linux-headers-6.1.0-1", version="../1"),
        stanza("linux-headers-6.1.0-1").replace("1000", "many"),
        stanza("linux-headers-6.1.0-1").replace("Architecture", "Arch"),
    ],
)
def test_what_is_no_package_or_has_a_name_that_is_none_is_left_out(text: str) -> None:
    assert kernels(text, stanza("linux-image-6.2")) == kernels(stanza("linux-image-6.2"))


def test_libraries_that_are_missing_are_named_and_compilers_are_not(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\n\nPackage: libelf1\nStatus: deinstall ok config-files\n"
    )
    kbuild = "libc6 (>= 2.34), libelf1 | libelf2, libssl3:any (>= 3), gcc-12, linux-compiler-gcc-12-x86"
    found = kernels(stanza("linux-headers-6.1.0-5-amd64", f"linux-kbuild-6.1, {kbuild}"), stanza("linux-kbuild-6.1"))
    packages = found[OLD].headers
    assert missing_besides(packages, status=status) == ["libelf1", "libssl3"]
    status.write_text(status.read_text() + "\nPackage: libelf2\nStatus: install ok installed\n")
    assert missing_besides(packages, status=status) == ["libssl3"]
    provides = "libother, libssl3 (= 3.5.1-1),"
    status.write_text(
        f"{status.read_text()}\nPackage: libssl3t64\nStatus: install ok installed\nProvides: {provides}\n"
    )
    assert missing_besides(packages, status=status) == []
    assert missing_besides(packages, status=tmp_path / "none") == []


def test_a_system_without_apt_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KbuildError, match="there is no apt here") as refused:
        offered_kernels()
    assert "package manager" in refused.value.hint
