# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel tree says about itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.kernel.architecture import Architecture, architecture_of, is_native, native_architecture
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.compiler import compiler_of, cross_variables, package_of_compiler
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from tests.support.fake_trees import fake_tree

PC = "CONFIG_X86=y\nCONFIG_64BIT=y\n"
ARM64 = "CONFIG_ARM64=y\nCONFIG_64BIT=y\n"
DEBIAN_CC = "CC = $(if $(DEBIAN_KERNEL_USE_CCACHE),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n"


def tree_with(tmp_path: Path, config: str, *, kernelvariables: str = "", release: str = "6.1.0") -> KernelTree:
    objects = fake_tree(tmp_path / "linux", release, config=config)
    if kernelvariables:
        (objects / ".kernelvariables").write_text(kernelvariables)
    return open_tree(objects)


@pytest.mark.parametrize(
    ("config", "arch", "bits", "shown"),
    [
        (PC, "x86", 64, "x86_64"),
        ("CONFIG_X86=y\nCONFIG_X86_32=y\n", "x86", 32, "i386"),
        ("CONFIG_ARM64=y\nCONFIG_64BIT=y\n", "arm64", 64, "arm64"),
        ("CONFIG_ARM=y\nCONFIG_ARM_GIC=y\n", "arm", 32, "arm"),
        ("CONFIG_PPC=y\nCONFIG_64BIT=y\n", "powerpc", 64, "powerpc"),
        ("CONFIG_UML=y\nCONFIG_64BIT=y\n", "um", 64, "um"),
    ],
)
def test_tells_the_architecture_from_the_configuration(
    tmp_path: Path, config: str, arch: str, bits: int, shown: str
) -> None:
    found = architecture_of(tree_with(tmp_path, config))
    assert (found.arch, found.srcarch, found.bits, str(found)) == (arch, arch, bits, shown)


def test_the_packages_override_of_arch_goes_first(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "CONFIG_X86=y\nCONFIG_64BIT=y\n", kernelvariables="override ARCH = x86_64\n")
    assert architecture_of(tree).arch == "x86_64"
    assert architecture_of(tree).srcarch == "x86"


@pytest.mark.parametrize(
    ("machine", "arch", "bits"),
    [
        ("x86_64", "x86", 64),
        ("i686", "x86", 32),
        ("aarch64", "arm64", 64),
        ("armv7l", "arm", 32),
        ("ppc64le", "powerpc", 64),
        ("s390x", "s390", 64),
        ("riscv64", "riscv", 64),
    ],
)
def test_names_machines_as_scripts_subarch_does(machine: str, arch: str, bits: int) -> None:
    assert (native_architecture(machine).arch, native_architecture(machine).bits) == (arch, bits)


def test_a_64_bit_machine_is_not_native_to_a_32_bit_kernels_modules(tmp_path: Path) -> None:
    architecture = architecture_of(tree_with(tmp_path, "CONFIG_X86=y\n"))
    assert is_native(architecture, "i686")
    assert not is_native(architecture, "x86_64")


def programs(directory: Path, *names: str) -> str:
    """A PATH that has just these programs."""
    directory.mkdir()
    for name in names:
        (directory / name).touch(mode=0o755)
    return str(directory)


def test_names_the_compiler_that_a_debian_tree_asks_for(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, f'{PC}CONFIG_CC_VERSION_TEXT="gcc-12 (Debian) 12.2.0"\n', kernelvariables=DEBIAN_CC)
    compiler = compiler_of(tree, cross_compile="x-", search=programs(tmp_path / "bin", "x-gcc-12"))
    assert (compiler.program, compiler.installed) == ("x-gcc-12", True)
    assert compiler.built_with == "gcc-12 (Debian) 12.2.0"


def test_the_packages_cross_compile_goes_before_the_users(tmp_path: Path) -> None:
    override = "override CROSS_COMPILE = x86_64-linux-gnu-\n"
    tree = tree_with(tmp_path, PC, kernelvariables=DEBIAN_CC + override)
    assert compiler_of(tree, cross_compile="mine-").program == "x86_64-linux-gnu-gcc-12"


def test_a_cross_compile_that_only_the_packagers_build_sets_does_not_count(tmp_path: Path) -> None:
    conditional = "ifneq ($(DEB_BUILD_ARCH),$(DEB_HOST_ARCH))\noverride CROSS_COMPILE = $(DEB_HOST_GNU_TYPE)-\nendif\n"
    tree = tree_with(tmp_path, PC, kernelvariables=DEBIAN_CC + conditional)
    assert compiler_of(tree, cross_compile="mine-").program == "mine-gcc-12"


def test_other_trees_ask_for_gcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbuildpy.kernel.compiler.is_native", lambda architecture: True)
    assert compiler_of(tree_with(tmp_path, PC)).program == "gcc"


@pytest.fixture
def pc(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is a 64-bit PC."""
    native = Architecture("x86", "x86", 64)
    monkeypatch.setattr("kbuildpy.kernel.compiler.native_architecture", lambda machine="": native)
    monkeypatch.setattr("kbuildpy.kernel.compiler.is_native", lambda found: (found.srcarch, found.bits) == ("x86", 64))


@pytest.mark.usefixtures("pc")
def test_a_foreign_tree_asks_for_debians_cross_compiler(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, ARM64, kernelvariables=DEBIAN_CC)
    compiler = compiler_of(tree, search=programs(tmp_path / "bin", "gcc-12"))
    assert (compiler.program, compiler.installed) == ("aarch64-linux-gnu-gcc-12", False)
    assert compiler_of(tree, cross_compile="mine-").program == "mine-gcc-12"


@pytest.mark.usefixtures("pc")
@pytest.mark.parametrize(
    ("config", "given"),
    [
        (PC, {}),
        ("CONFIG_X86=y\nCONFIG_X86_32=y\n", {}),  # gcc -m32
        (ARM64, {"ARCH": "arm64", "CROSS_COMPILE": "aarch64-linux-gnu-"}),
        ("CONFIG_UML=y\nCONFIG_64BIT=y\n", {"ARCH": "um"}),
    ],
)
def test_a_tree_says_for_which_architecture_it_is_where_nobody_else_does(
    config: str, given: dict[str, str], tmp_path: Path
) -> None:
    assert cross_variables(tree_with(tmp_path, config), {}, {}) == given


@pytest.mark.usefixtures("pc")
def test_what_the_user_says_of_the_architecture_goes_before_what_the_tree_says(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, ARM64)
    assert cross_variables(tree, {"CROSS_COMPILE": "mine-"}, {}) == {"ARCH": "arm64"}
    assert cross_variables(tree, {"CROSS_COMPILE": ""}, {"ARCH": "arm64"}) == {}


@pytest.mark.usefixtures("pc")
def test_refuses_an_arch_that_a_tree_is_not_for(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, ARM64)
    with pytest.raises(UsageError, match="is for arm64, not for ARCH=riscv"):
        cross_variables(tree, {"ARCH": "riscv"}, {})
    with pytest.raises(UsageError, match="is for arm64, not for ARCH=x86_64"):
        cross_variables(tree, {}, {"ARCH": "x86_64"})


@pytest.mark.usefixtures("pc")
def test_an_arch_in_the_environment_says_nothing_to_a_tree_that_sets_its_own(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, PC, kernelvariables="override ARCH = x86\n")
    assert cross_variables(tree, {"ARCH": "x86_64"}, {"ARCH": "arm64"}) == {}
    with pytest.raises(UsageError, match="is for x86_64, not for ARCH=arm64"):
        cross_variables(tree, {"ARCH": "arm64"}, {})


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("gcc", "gcc"),
        ("gcc-12", "gcc-12"),
        ("x86_64-linux-gnu-gcc-12", "gcc-12"),
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("i686-linux-gnu-gcc-12", "gcc-12-i686-linux-gnu"),
        ("arm-linux-gnueabihf-gcc-12", "gcc-12-arm-linux-gnueabihf"),
        ("clang-19", "clang-19"),
        ("x86_64-linux-gnu-ld", "binutils"),
        ("aarch64-linux-gnu-ld", "binutils-aarch64-linux-gnu"),
    ],
)
def test_names_the_debian_package_of_a_compiler(program: str, package: str) -> None:
    assert package_of_compiler(program, machine="x86_64") == package


def test_package_names_have_no_underscores() -> None:
    assert package_of_compiler("x86_64-linux-gnu-gcc-12", machine="aarch64") == "gcc-12-x86-64-linux-gnu"


def test_tells_who_computes_the_symbol_versions(tmp_path: Path) -> None:
    plain = modversions_of(tree_with(tmp_path / "a", PC))
    assert (plain.enabled, plain.generator) == (False, "")
    versioned = modversions_of(tree_with(tmp_path / "b", "CONFIG_MODVERSIONS=y\n"))
    assert (versioned.enabled, versioned.generator, versioned.extended) == (True, "genksyms", False)
    dwarf = "CONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\nCONFIG_EXTENDED_MODVERSIONS=y\n"
    extended = modversions_of(tree_with(tmp_path / "c", dwarf))
    assert (extended.generator, extended.extended) == ("gendwarfksyms", True)


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ("", "none"),
        ('CONFIG_MODULE_SIG_HASH="sha256"\nCONFIG_MODULE_SIG_FORCE=y\n', "none"),
        ('CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_HASH="sha256"\n', "optional sha256"),
        ('CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\nCONFIG_MODULE_SIG_HASH="sha512"\n', "required sha512"),
        (
            'CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_HASH="sha512"\nCONFIG_SECURITY_LOCKDOWN_LSM=y\n'
            "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n",
            "required sha512",
        ),
    ],
)
def test_tells_the_signing_policy(tmp_path: Path, config: str, shown: str) -> None:
    assert str(signing_policy_of(tree_with(tmp_path, config))) == shown


def test_a_kernel_that_does_not_verify_signatures_requires_none(tmp_path: Path) -> None:
    assert not signing_policy_of(tree_with(tmp_path, "CONFIG_MODULE_SIG_FORCE=y\n")).required


def test_a_kernel_that_can_be_locked_down_is_not_locked_down(tmp_path: Path) -> None:
    config = "CONFIG_SECURITY_LOCKDOWN_LSM=y\nCONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n"
    policy = signing_policy_of(tree_with(tmp_path, config))
    assert (policy.lockdown, policy.locked_down, policy.secure_boot) == (True, False, True)


def test_btf_needs_the_configuration_and_a_vmlinux(tmp_path: Path) -> None:
    tree = tree_with(tmp_path / "a", "CONFIG_DEBUG_INFO_BTF_MODULES=y\n")
    assert str(btf_of(tree)) == "no vmlinux"
    (tree.objects / "vmlinux").touch()
    assert str(btf_of(tree)) == "yes"
    unwanted = tree_with(tmp_path / "b", PC)
    (unwanted.objects / "vmlinux").touch()
    assert str(btf_of(unwanted)) == "no"


COMPLETE = ("Module.symvers", "scripts/basic/fixdep", "scripts/mod/modpost", "arch/x86/module.lds")


def complete(tree: KernelTree, *names: str) -> KernelTree:
    for name in (*COMPLETE, *names):
        (tree.objects / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.objects / name).touch()
    return tree


def test_a_complete_tree_lacks_nothing(tmp_path: Path) -> None:
    config = f"{PC}CONFIG_MODVERSIONS=y\nCONFIG_OBJTOOL=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\n"
    tree = complete(tree_with(tmp_path, config), "scripts/genksyms/genksyms", "tools/objtool/objtool")
    assert missing_parts(tree) == ()


@pytest.mark.parametrize("name", [*COMPLETE[:3], "scripts/module.lds"])
def test_names_what_every_tree_needs(tmp_path: Path, name: str) -> None:
    tree = complete(tree_with(tmp_path, PC))
    (tree.objects / ("arch/x86/module.lds" if name.endswith("lds") else name)).unlink()
    assert missing_parts(tree) == (name,)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("CONFIG_MODVERSIONS=y\n", "scripts/genksyms/genksyms"),
        ("CONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\n", "scripts/gendwarfksyms/gendwarfksyms"),
        ("CONFIG_OBJTOOL=y\n", "tools/objtool/objtool"),
        ("CONFIG_STACK_VALIDATION=y\n", "tools/objtool/objtool"),
        ("CONFIG_DEBUG_INFO_BTF_MODULES=y\n", "tools/bpf/resolve_btfids/resolve_btfids"),
    ],
)
def test_names_what_the_configuration_needs(tmp_path: Path, config: str, name: str) -> None:
    tree = complete(tree_with(tmp_path, PC + config), "vmlinux")
    assert missing_parts(tree) == (name,)
