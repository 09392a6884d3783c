# SPDX-License-Identifier: GPL-2.0-only
"""What the check knows of a kernel, from its tree and from its image, against what make built and what shipped."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.architecture import native_architecture
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.image import unpack
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import Exports, KernelExport, LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.loader.kernels.from_image import kernel_from_image
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.kernels.keyrings import image_keyring
from kbuildpy.loader.module_file import THIS_MODULE
from kbuildpy.run import run
from kbuildpy.signing.kernel_image import load_kernel
from tests.support.arm64 import CROSS, arm64_tree
from tests.support.kernel_trees import TREES, each_tree, private_tree, swept
from tests.support.packages import other_compiler, unpacked_for_arm64, unpacked_kernel

pytestmark = pytest.mark.parity

SOURCE = """\
#include <linux/module.h>
static int __init probed_init(void) { return 0; }
module_init(probed_init);
static void __exit probed_exit(void) { }
module_exit(probed_exit);
MODULE_LICENSE("GPL");
"""
ask = partial(ask_module_facts, environ=os.environ)


@each_tree
def test_a_tree_tells_vermagic_and_struct_module_as_they_are_in_a_built_module(
    tree: KernelTree, tmp_path: Path
) -> None:
    kernel = kernel_from_tree(tree, partial(ask, variables=_compiler(tree)))
    _assert_like_make(kernel, tree, tmp_path, *other_compiler(tree))
    assert kernel.machine == str(native_architecture())


@each_tree
def test_link_time_optimization_changes_nothing_of_that(tree: KernelTree) -> None:
    # (GCC's; with clang's the output of -S is bitcode as well)
    given = _compiler(tree)
    plain = ask_module_facts(tree, variables=given, environ=os.environ)
    flags = f"{given.get('KCFLAGS', '')} -flto".strip()
    assert ask_module_facts(tree, variables={**given, "KCFLAGS": flags}, environ=os.environ) == plain


@pytest.mark.parametrize("line", ["6.12-arm64", *swept("arm64")])
def test_a_tree_for_arm64_tells_the_same(line: str, tmp_path: Path) -> None:
    tree = arm64_tree(line)
    kernel = kernel_from_tree(tree, ask)
    _assert_like_make(kernel, tree, tmp_path, *CROSS)
    assert kernel.machine == "arm64"


@each_tree
def test_a_tree_exports_what_its_symvers_says(tree: KernelTree) -> None:
    exports = kernel_from_tree(tree).exports
    _assert_like_symvers(exports, tree)
    assert exports is not None
    assert exports.find("no_such_symbol_anywhere") is None


@each_tree
def test_an_image_exports_what_the_headers_say(tree: KernelTree) -> None:
    kernel = kernel_from_image(_image(tree))
    _assert_like_symvers(kernel.exports, tree)


@each_tree
def test_an_image_tells_what_the_tree_tells(tree: KernelTree) -> None:
    by_image, by_tree = kernel_from_image(_image(tree)), kernel_from_tree(tree, partial(ask, variables=_compiler(tree)))
    for name in ("release", "version", "machine", "vermagic", "struct_module"):
        assert getattr(by_image, name) == getattr(by_tree, name), name
    assert by_image.missing == {}
    assert by_image.config is not None
    # (Debian takes from /boot what is of its own build only)
    assert by_image.config.items() <= tree.config.items()


@each_tree
def test_the_keys_are_the_images_also_when_they_were_kept(tree: KernelTree) -> None:
    stated = load_kernel(_image(tree))
    for _ in range(2):
        image_keyring.cache_clear()
        keyring = kernel_from_image(_image(tree)).keyring
        assert keyring is not None
        assert keyring() == stated


def test_keys_that_were_kept_are_not_taken_when_depmod_lists_another_verifier(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(_image(_tree()).read_bytes())
    assert not image_keyring(image).verifies_ml_dsa
    (tmp_path / "modules.alias").write_text("alias crypto-mldsa44 mldsa\n")
    image_keyring.cache_clear()
    assert image_keyring(image).verifies_ml_dsa


@each_tree
def test_own_modules_are_given_decompressed(tree: KernelTree) -> None:
    kernel = kernel_from_image(_image(tree))
    files = {path.name.partition(".ko")[0]: path for path in (_modules(tree) / "kernel").rglob("*.ko*")}
    dashed = next(name for name in files if "-" in name)
    assert kernel.own_modules is not None
    for name in (min(files), dashed, dashed.replace("-", "_")):
        path = files.get(name) or files[dashed]
        assert kernel.own_modules.contents(name) == decompress(path.read_bytes())
    assert kernel.own_modules.contents("no_such_module") is None


def test_an_image_for_arm64_says_what_it_cannot_tell() -> None:
    tree = arm64_tree()
    package = unpacked_for_arm64(f"linux-image-{tree.release}")
    by_image, by_tree = kernel_from_image(next(package.glob("boot/vmlinuz-*"))), kernel_from_tree(tree, ask)
    assert (by_image.machine, by_image.vermagic) == ("arm64", by_tree.vermagic)
    assert by_image.struct_module == by_tree.struct_module
    assert by_image.exports is None
    assert by_image.missing.keys() == {Fact.EXPORTS}


@each_tree
def test_the_second_time_the_compiler_is_not_asked(tree: KernelTree, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kernel_from_tree(tree, partial(ask, variables=_compiler(tree)))
    monkeypatch.setattr("kbuildpy.kbuild.probe.run", None)
    monkeypatch.setattr("kbuildpy.kbuild.make_tree_answer.run", None)
    again = kernel_from_tree(tree, partial(ask, variables=_compiler(tree)))
    assert (again.vermagic, again.struct_module) == (first.vermagic, first.struct_module)


def test_a_changed_header_is_noticed(tmp_path: Path) -> None:
    tree = _private(tmp_path)
    before = kernel_from_tree(tree, ask).vermagic
    header = tree.objects / "include/generated/utsrelease.h"
    header.write_text('#define UTS_RELEASE "6.66.0-other"\n')
    assert before is not None
    assert kernel_from_tree(tree, ask).vermagic == before.replace(before.split()[0], "6.66.0-other")


def test_without_a_compiler_the_facts_are_missing_and_said_to_be(tmp_path: Path) -> None:
    tree = _tree()
    kernel = kernel_from_tree(tree, partial(ask_module_facts, environ={"PATH": "/nonexistent"}), root=tmp_path)
    assert (kernel.vermagic, kernel.struct_module) == (None, None)
    assert "not found" in kernel.missing[Fact.VERMAGIC]
    assert "not found" in kernel.missing[Fact.STRUCT_MODULE]
    assert Fact.OWN_MODULES in kernel.missing


def test_without_symvers_the_exports_are_missing(tmp_path: Path) -> None:
    tree = _private(tmp_path)
    tree.symvers.unlink()
    kernel = kernel_from_tree(tree)
    assert kernel.exports is None
    assert kernel.missing[Fact.EXPORTS] == f"{tree.symvers} is not there"


def test_damaged_symvers_are_one_clear_error(tmp_path: Path) -> None:
    tree = _private(tmp_path)
    text = tree.symvers.read_text()
    tree.symvers.unlink()
    tree.symvers.write_text(text[: len(text) // 2])
    with pytest.raises(KbuildError, match=rf"^{tree.symvers}:\d+: \d fields, 5 expected"):
        kernel_from_tree(tree)


@pytest.mark.parametrize("keep", [0, 1000, 1 << 20])
def test_a_damaged_image_is_one_clear_error(keep: int, tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(_image(_tree()).read_bytes()[:keep])
    with pytest.raises(KbuildError, match=f"^{image}: "):
        kernel_from_image(image)


def test_damaged_tables_in_an_image_are_one_clear_error(tmp_path: Path) -> None:
    kernel = bytearray(unpack(_image(_tree()).read_bytes()))
    sections = {section.name: section for section in ModuleImage(bytes(kernel), "vmlinux").sections}
    table = sections["__ksymtab"]
    kernel[table.offset + 4 : table.offset + 8] = b"\xff\xff\xff\x7f"
    image = tmp_path / "vmlinux"
    image.write_bytes(kernel)
    with pytest.raises(KbuildError, match=f"^{image}: section __ksymtab: no string at 0x"):
        kernel_from_image(image)


def test_a_damaged_own_module_is_one_clear_error(tmp_path: Path) -> None:
    image = _image(_tree())
    broken = tmp_path / "modules/kernel/broken.ko"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\x7fELF and no more")
    with pytest.raises(KbuildError, match=f"^{broken}: "):
        kernel_from_image(image, tmp_path / "modules")


@pytest.mark.skipif(len(TREES) < 2, reason="one kernel line only")
def test_modules_of_another_kernel_are_refused() -> None:
    one, other = TREES[0], TREES[-1]
    with pytest.raises(KbuildError, match="the modules belong to another kernel than"):
        kernel_from_image(_image(one), _modules(other))


@each_tree
def test_an_image_is_opened_by_its_path(tree: KernelTree) -> None:
    [chosen] = resolve([str(_image(tree))], Need.EITHER)
    assert loader_kernel(chosen, ask).release == tree.release
    assert chosen.reason == "Its path was given."


def test_an_image_without_its_modules_is_completed_by_its_headers(tmp_path: Path) -> None:
    tree = _tree()
    image = tmp_path / "vmlinuz"
    image.write_bytes(_image(tree).read_bytes())
    [chosen] = resolve([str(image)], Need.EITHER)
    kernel = loader_kernel(chosen, ask)
    _assert_like_symvers(kernel.exports, tree)
    assert kernel.keyring is not None
    assert kernel.keyring().kernel == tree.release


def test_a_kernel_that_is_installed_without_headers_is_opened_by_its_release(tmp_path: Path) -> None:
    tree = _tree()
    boot, modules = tmp_path / "boot", tmp_path / "lib/modules" / tree.release
    boot.mkdir()
    modules.mkdir(parents=True)
    (boot / f"vmlinuz-{tree.release}").write_bytes(_image(tree).read_bytes())
    (modules / "kernel").symlink_to(_modules(tree) / "kernel")
    for words in ([tree.release], ["all"], ["running"], []):
        [chosen] = resolve(words, Need.EITHER, root=tmp_path, running=tree.release)
        kernel = loader_kernel(chosen, root=tmp_path)
        assert kernel.release == tree.release
        _assert_like_symvers(kernel.exports, tree)
        assert kernel.missing == {
            Fact.CONFIG: f"it is not in {boot}/vmlinuz-{tree.release}, "
            f"and there is no config-{tree.release} beside the image"
        }


def test_trees_are_opened_once_each() -> None:
    chosen = resolve(["all", TREES[0].release, str(TREES[0].objects)], Need.EITHER)
    releases = [loader_kernel(item, ask).release for item in chosen]
    assert len(set(releases)) == len(releases) >= len(TREES)


def _assert_like_make(kernel: LoaderKernel, tree: KernelTree, directory: Path, *variables: str) -> None:
    (directory / "probed.c").write_text(SOURCE)
    (directory / "Kbuild").write_text("obj-m := probed.o\n")
    run(["make", "-C", tree.objects, f"M={directory}", *variables, "modules"])
    image = ModuleImage.from_path(directory / "probed.ko")
    vermagic = run(["modinfo", "-F", "vermagic", directory / "probed.ko"]).text
    assert vermagic == f"{kernel.vermagic}\n"
    section, layout = image.section(THIS_MODULE), kernel.struct_module
    assert section is not None
    assert layout is not None
    places = {image.symbols.name(item.symbol): item.offset for item in image.relocations_of(section)}
    name, length = layout.name
    assert section.size == layout.size
    assert places == {"init_module": layout.init, "cleanup_module": layout.exit}
    assert image.section_data(section)[name : name + length] == b"probed".ljust(length, b"\0")


def _assert_like_symvers(exports: Exports | None, tree: KernelTree) -> None:
    modversions = tree.config.get("CONFIG_MODVERSIONS") == "y"
    lines = [line.split("\t") for line in tree.symvers.read_text().splitlines()]
    stated = {
        symbol: KernelExport(
            "" if owner == "vmlinux" else owner.split("/")[-1].replace("-", "_"),
            int(crc, 16) if modversions else None,
            {"EXPORT_SYMBOL": False, "EXPORT_SYMBOL_GPL": True}[macro],
            namespace,
        )
        for crc, symbol, owner, macro, namespace in lines
    }
    assert exports is not None
    assert len(stated) > 10000
    assert {symbol: exports.find(symbol) for symbol in stated} == stated


def _tree() -> KernelTree:
    if not TREES:
        pytest.skip("no kernel headers installed")
    return TREES[0]


def _compiler(tree: KernelTree) -> dict[str, str]:
    return dict(word.split("=") for word in other_compiler(tree))


def _root(tree: KernelTree) -> Path:
    """Where the kernel and its modules are: this system, or packages that are unpacked."""
    images = (f"/boot/vmlinuz-{tree.release}", f"/lib/modules/{tree.release}/vmlinuz")
    installed = modules_directory(tree.release) is not None and any(Path(image).is_file() for image in images)
    return Path("/") if installed else unpacked_kernel(tree.release)


def _modules(tree: KernelTree) -> Path:
    found = modules_directory(tree.release, root=_root(tree))
    assert found is not None
    return found


def _image(tree: KernelTree) -> Path:
    return find_kernel_image(tree.release, root=_root(tree))


def _private(place: Path) -> KernelTree:
    """A tree that may be changed."""
    return open_tree(private_tree(_tree(), place / "private"))
