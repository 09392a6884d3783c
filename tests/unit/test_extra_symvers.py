# SPDX-License-Identifier: GPL-2.0-only
"""Files of KBUILD_EXTRA_SYMBOLS that Kbuild would look for in vain, or that are the kernel's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.extra_symvers import check_extra_symvers
from kbuildpy.kernel.symvers import format_symvers
from kbuildpy.kernel.tree import KernelTree

# (what the tree knows: two symbols of the kernel, one of a module of its own)
KNOWN = [("printk", "vmlinux"), ("kfree", "vmlinux"), ("usb_open", "drivers/usb/usbcore")]


def write_symvers(path: Path, *symbols: tuple[str, str], macro: str = "EXPORT_SYMBOL") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(format_symvers((1, symbol, owner, macro, "") for symbol, owner in symbols)))
    return path


def kernel_tree(place: Path, release: str = "6.12.0-1-amd64") -> KernelTree:
    tree = KernelTree(place / "tree", place / "tree", release)
    write_symvers(tree.symvers, *KNOWN)
    return tree


def check(path: Path, tree: KernelTree) -> str:
    return check_extra_symvers(str(path), path, tree=tree, cwd="/tree")


@pytest.mark.parametrize(
    ("symbols", "own"),
    [
        ([("hello", "/m/hello")], False),
        ([], False),
        (KNOWN, True),
        (KNOWN[1:2], True),
        ([("hello", "/m/hello"), ("kfree", "vmlinux")], True),
        ([("kfree", "vmlinux"), ("hello", "/m/hello")], True),
        ([("kfree", "/m/hello")], False),
        ([("usb_open", "vmlinux")], False),
        ([("usb_open", "drivers/usb/usbcore")], False),
        ([("of_another_kernel", "vmlinux")], False),
    ],
)
def test_a_file_with_a_symbol_of_this_kernel_itself_is_refused(
    symbols: list[tuple[str, str]], own: bool, tmp_path: Path
) -> None:
    """modpost's complaint is that vmlinux exports a symbol that vmlinux exports (modpost.c: sym_add_exported)."""
    tree, path = kernel_tree(tmp_path), write_symvers(tmp_path / "extra.symvers", *symbols)
    if not own:
        assert check(path, tree) == ""
        return
    with pytest.raises(KbuildError) as refused:
        check(path, tree)
    assert refused.value.message == (
        f"KBUILD_EXTRA_SYMBOLS={path}: symbols of the kernel itself, which Kbuild knows from {tree.symvers}"
    )
    assert refused.value.hint == "remove it: KBUILD_EXTRA_SYMBOLS is for the Module.symvers of other external modules"


@pytest.mark.parametrize(
    ("release", "refused"), [("5.10.0", False), ("5.18.19", False), ("5.19.0", True), ("6.1", True)]
)
def test_the_kernels_own_file_is_refused_since_modpost_does(release: str, refused: bool, tmp_path: Path) -> None:
    """Up to 5.18 modpost only warns of a symbol that is exported twice."""
    tree, path = kernel_tree(tmp_path, release), write_symvers(tmp_path / "extra.symvers", *KNOWN)
    if refused:
        with pytest.raises(KbuildError, match="symbols of the kernel itself"):
            check(path, tree)
    else:
        said = check(path, tree)
        assert said.startswith(f"kbuildpy: warning: KBUILD_EXTRA_SYMBOLS={path}: symbols of the kernel itself")
        assert said.endswith("\n  remove it: KBUILD_EXTRA_SYMBOLS is for the Module.symvers of other external modules")


def test_lines_that_modpost_would_pass_over_do_not_hide_the_kernels_file(tmp_path: Path) -> None:
    """modpost.c: read_dump passes over a line whose macro it does not know, as EXPORT_UNUSED_SYMBOL of old kernels."""
    tree = kernel_tree(tmp_path)
    path = write_symvers(tmp_path / "extra.symvers", *KNOWN, macro="EXPORT_UNUSED_SYMBOL")
    with pytest.raises(KbuildError, match="symbols of the kernel itself"):
        check(path, tree)
    write_symvers(tree.symvers, *KNOWN, macro="EXPORT_UNUSED_SYMBOL")
    with pytest.raises(KbuildError, match="symbols of the kernel itself"):
        check(path, tree)


def test_a_tree_without_symvers_knows_nothing_to_compare_with(tmp_path: Path) -> None:
    tree, path = kernel_tree(tmp_path), write_symvers(tmp_path / "extra.symvers", *KNOWN)
    tree.symvers.unlink()
    assert check(path, tree) == ""


def test_a_relative_name_that_is_not_there_is_refused_with_the_file_that_was_meant(tmp_path: Path) -> None:
    """Kbuild looks where it runs, which is the kernel tree up to 6.12."""
    tree = kernel_tree(tmp_path)
    meant = write_symvers(tmp_path / "other/Module.symvers", ("hello", "/m/hello"))
    (tmp_path / "drv").mkdir()
    (tmp_path / "empty/other/Module.symvers").mkdir(parents=True)
    name = "../other/Module.symvers"

    def refusal(*looked_for: Path) -> KbuildError:
        with pytest.raises(KbuildError) as refused:
            check_extra_symvers(name, tmp_path / "none", tree=tree, cwd="/tree", looked_for=looked_for)
        return refused.value

    found = refusal(tmp_path / "empty/drv", tmp_path / "drv")
    assert (
        found.message == f"KBUILD_EXTRA_SYMBOLS={name}: no such file in /tree, where Kbuild looks for a relative name"
    )
    assert found.hint == f"give an absolute one: KBUILD_EXTRA_SYMBOLS={meant}"
    assert refusal().hint == "give an absolute one: KBUILD_EXTRA_SYMBOLS=/path/to/Module.symvers"


def test_a_relative_name_that_is_there_is_taken_unless_it_is_the_kernels(tmp_path: Path) -> None:
    tree = kernel_tree(tmp_path)
    path = write_symvers(tmp_path / "extra.symvers", ("hello", "/m/hello"))
    assert check_extra_symvers("extra.symvers", path, tree=tree, cwd=str(tmp_path)) == ""
    with pytest.raises(KbuildError) as refused:
        check_extra_symvers("Module.symvers", tree.symvers, tree=tree, cwd=str(tree.objects))
    assert refused.value.hint.endswith(f"; a relative name is one in {tree.objects}, so give an absolute one")


def test_an_absolute_name_that_is_not_there_is_left_to_modpost(tmp_path: Path) -> None:
    """It has words of its own for it (modpost.c: read_text_file)."""
    assert check(tmp_path / "none", kernel_tree(tmp_path)) == ""
