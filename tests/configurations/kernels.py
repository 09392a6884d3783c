# SPDX-License-Identifier: GPL-2.0-only
"""A row to its kernel. It is fetched or built where it is not here; what cannot be had is skipped with the reason."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.built import built_variables
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.fetched import fetched_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.build import built_kernel
from kbuildpy.kernel_build.recipe import KernelRecipe
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.run import run
from kbuildpy.signing.choose_signer import choose_signer
from kbuildpy.signing.signer import Signer
from kbuildpy.vm.machine import machine_for
from tests.configurations.rows import Packaged, Row, SelfBuilt, kept_exports
from tests.support.arm64 import CROSS as CROSS_ARM64
from tests.support.arm64 import arm64_tree
from tests.support.fetched_kernels import flavour_tree
from tests.support.foreign_trees import foreign_tree
from tests.support.guest_kernels import image_of, tree_called
from tests.support.packages import source_archive
from tests.support.riscv64 import CROSS as CROSS_RISCV64
from tests.support.riscv64 import riscv64_tree
from tests.support.rust_kernels import rust_programs
from tests.support.small_kernels import small_kernel


@dataclass(frozen=True)
class Kernel:
    """The kernel of a row."""

    tree: KernelTree
    words: tuple[str, ...]
    """What make is told on its command line."""
    earlier: bool = False
    """It was built when its sets had other options."""

    @property
    def machine(self) -> str:
        """The name of its architecture."""
        return str(architecture_of(self.tree))

    @property
    def compiler(self) -> str:
        """The first line of what the modules' compiler says of its version."""
        cross = next((word.partition("=")[2] for word in self.words if word.startswith("CROSS_COMPILE=")), "")
        found = compiler_of(self.tree, cross_compile=cross)
        program = found.program if found.installed else f"{cross}gcc"
        return run([program, "--version"], env={**os.environ, "LC_ALL": "C"}).text.partition("\n")[0]

    @property
    def identity(self) -> str:
        """Changes when another kernel is in its place: of its configuration, its exports and its compiler."""
        digest = hashlib.sha256(self.compiler.encode())
        for path in (self.tree.objects / "include/config/auto.conf", self.tree.symvers):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def image(self) -> Path:
        """Its image. Raises `KbuildError` where kernels of its machine are not booted here."""
        machine_for(architecture_of(self.tree))
        return image_of(self.tree)

    def signer(self) -> Signer | None:
        """Who signs modules for it, by the key that its build left; None where it takes unsigned ones."""
        if self.tree.config.get("CONFIG_MODULE_SIG_FORCE") != "y":
            return None
        certs = self.tree.objects / "certs"
        hash_name = self.tree.config.get("CONFIG_MODULE_SIG_HASH", "").strip('"')
        key, certificate = certs / "signing_key.pem", certs / "signing_key.x509"
        return choose_signer(str(key), str(certificate), hash_name, kernel_hash=lambda: hash_name)


@contextmanager
def kernel_of(row: Row, *, as_is: bool = False) -> Iterator[Kernel]:
    """The kernel of `row`, with the programs that its modules need while it is in use. Skips, as a test is skipped,
    where something for it is not to be had; raises `KbuildError` where it does not build. With `as_is` a kernel of its
    name is taken as it is, also one that was built with other options."""
    if isinstance(row.kernel, Packaged):
        yield _packaged(row, row.kernel)
    elif "rust" in row.kernel.sets:
        with rust_programs():
            yield _built(row, row.kernel, as_is=as_is)
    else:
        yield _built(row, row.kernel, as_is=as_is)


def _packaged(row: Row, wanted: Packaged) -> Kernel:
    if wanted.flavour:
        return Kernel(flavour_tree(row.line, wanted.flavour), ())
    if wanted.machine == "amd64":
        return Kernel(tree_called(row.line), ())
    if wanted.machine == "arm64":
        return Kernel(arm64_tree(f"{row.line}-arm64"), CROSS_ARM64)
    if wanted.machine == "riscv64":
        return Kernel(riscv64_tree(f"{row.line}-riscv64"), CROSS_RISCV64)
    return Kernel(*foreign_tree(wanted.machine))


def recipe_for(row: Row) -> KernelRecipe:
    """The recipe of a kernel that is built."""
    wanted = row.kernel
    assert isinstance(wanted, SelfBuilt)
    with _options(wanted) as config:
        asked = Wanted(
            source=str(source_archive(row.line)),
            sets=wanted.sets,
            config=config,
            llvm=wanted.llvm,
            arch=wanted.machine,
            name=wanted.name,
        )
        return recipe_of(asked, tell=lambda text: None)


@contextmanager
def _options(wanted: SelfBuilt) -> Iterator[Path | None]:
    """A file with the options of a kernel; None for none."""
    if not wanted.options:
        yield None
        return
    with TemporaryDirectory() as scratch:
        config = Path(scratch, "options.config")
        config.write_text(wanted.options.replace("@KEPT", str(_kept_exports())))
        yield config


def _built(row: Row, wanted: SelfBuilt, *, as_is: bool) -> Kernel:
    if as_is:
        recipe = recipe_for(row)
        tree = fetched_tree(recipe.release)
        if tree is not None:
            return Kernel(tree, _words(tree), earlier=built_kernel(recipe) is None)
    more = [f"--llvm={wanted.llvm}"] if wanted.llvm else []
    more += ["--arch", wanted.machine] if wanted.machine else []
    more += ["--name", wanted.name] if wanted.name else []
    with _options(wanted) as config:
        tree = small_kernel(row.line, *wanted.sets, config=config, more=tuple(more))
    return Kernel(tree, _words(tree))


def _words(tree: KernelTree) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in built_variables(tree.objects).items())


def _kept_exports() -> Path:
    """The file that CONFIG_UNUSED_KSYMS_WHITELIST names. It is called by its contents: a kernel is built again when
    they change."""
    text = kept_exports()
    place = cache_directory() / "configurations" / f"kept_exports-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_file():
        beside = place.with_suffix(".new")
        beside.write_text(text)
        beside.replace(place)
    if not place.read_text():
        raise KbuildError(f"{place}: is empty")
    return place
