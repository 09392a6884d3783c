# SPDX-License-Identifier: GPL-2.0-only
"""`kernel build` over real sources: Kbuild's own configuration program and Debian's kernels are the oracle for what is
read of Kconfig files and makefiles; and what goes wrong before anything is compiled, or in the middle.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.alike import options_like
from kbuildpy.kernel_build.configure import configured
from kbuildpy.kernel_build.exporters import exporting_files, ways_to_compile
from kbuildpy.kernel_build.kconfig import read_kconfig, unmet
from kbuildpy.kernel_build.needed_options import options_for
from kbuildpy.kernel_build.option_sets import option_set_names, read_option_sets
from kbuildpy.kernel_build.recipe import KernelRecipe, toolchain_of
from kbuildpy.kernel_build.sources import KernelSource, find_source
from kbuildpy.own_command import own_command
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import tree_of
from tests.support.packages import NEWEST, source_archive

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

CLANG = [name for name in option_set_names() if read_option_sets([name])[0].compiler]
OTHER_COMPILERS = {*CLANG, "rust"}
SINCE = {"rt": "6.12"}
"""Sets whose option older lines have for other machines only."""


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source(line: str) -> KernelSource:
    return find_source(str(source_archive(line)), tell=print)


@pytest.fixture(scope="module")
def tree(line: str) -> KernelTree:
    return tree_of(line)


def values_of(tree: KernelTree) -> dict[str, str]:
    return {name.removeprefix("CONFIG_"): value for name, value in tree.config.items()}


def recipe_for(source: KernelSource, *sets: str, more: dict[str, str] | None = None) -> KernelRecipe:
    return KernelRecipe(source, toolchain_of("", "", ()), read_option_sets(sets), more or {})


def test_no_condition_of_an_option_that_debian_has_is_taken_for_false(source: KernelSource, tree: KernelTree) -> None:
    options, values = read_kconfig(source, "x86"), values_of(tree)
    assert not {*values} - {*options}
    wrong = {name: found for name in values if options[name].has_prompt and (found := unmet(options[name], values))}
    assert len(values) > 4000 and not wrong


def test_each_export_of_debians_kernel_is_in_a_file_whose_options_it_has(
    source: KernelSource, tree: KernelTree
) -> None:
    files, values = exporting_files(source, "x86"), values_of(tree)
    names = [line.split("\t")[1] for line in (tree.objects / "Module.symvers").read_text().splitlines()]
    known = [name for name in names if name in files]
    # (some names are put together by macros)
    assert len(known) > 0.95 * len(names)
    wrong = []
    for name in known:
        ways = [way for file in files[name] for way in ways_to_compile(source.path, file)]
        if ways and not any(all(option.removeprefix("CONFIG_") in values for option in way) for way in ways):
            wrong.append(name)
    assert not wrong


@pytest.mark.parametrize("name", sorted({*option_set_names()} - OTHER_COMPILERS))
def test_each_set_of_options_can_be_had(name: str, line: str, source: KernelSource) -> None:
    [found] = read_option_sets([name])
    if found.main not in read_kconfig(source, "x86"):
        pytest.skip(f"{source.version} has no CONFIG_{found.main}")
    if SINCE.get(name, line) != line:
        with pytest.raises(KbuildError, match=f"the sources cannot have CONFIG_{found.main}"):
            configured(recipe_for(source, name))
        return
    assert configured(recipe_for(source, name)).get(found.main, "n") == found.options[found.main]


@pytest.mark.parametrize("name", CLANG)
@pytest.mark.parametrize(("line", "llvm"), [("6.1", "-16"), ("6.12", "-19"), (NEWEST, "-19")])
def test_each_set_for_clang_can_be_had(name: str, line: str, llvm: str) -> None:
    if shutil.which(f"clang{llvm}") is None:
        pytest.skip(f"clang{llvm} is not installed")
    source, [found] = find_source(str(source_archive(line)), tell=print), read_option_sets([name])
    main = found.main_of(read_kconfig(source, "x86"))
    recipe = KernelRecipe(source, toolchain_of("", llvm, ()), (found,))
    assert configured(recipe).get(main, "n") == "y"


def test_options_for_symbols_bring_the_files_that_export_them(source: KernelSource) -> None:
    """Symbols of subsystems that a small kernel has not: with the options, Kbuild's configuration has all that their
    files are compiled with."""
    symbols = ["gpiod_get", "i2c_register_driver", "usb_register_driver", "register_netdev", "dm_register_target"]
    needed = options_for(symbols, source, "x86", configured(recipe_for(source)))
    assert needed.options and not needed.unknown
    got = configured(recipe_for(source, more=dict(needed.options)))
    files = exporting_files(source, "x86")
    for symbol in symbols:
        ways = [way for file in files[symbol] for way in ways_to_compile(source.path, file)]
        assert any(all(got.get(option.removeprefix("CONFIG_"), "n") != "n" for option in way) for way in ways), symbol


def test_the_configuration_of_another_kernel_is_followed(source: KernelSource, tree: KernelTree) -> None:
    base = options_like(tree.config, source, "x86")
    recipe = KernelRecipe(source, toolchain_of("", "", ()), (), {}, base)
    got, values = configured(recipe), values_of(tree)
    assert len(base) > 300
    for name in ("PREEMPT_DYNAMIC", "MODVERSIONS", "SMP", "STACKPROTECTOR_STRONG", "RANDSTRUCT_NONE", "HZ_250"):
        assert got.get(name, "n") == values.get(name, "n"), name
    lost = [name for name, value in base.items() if value == "y" and got.get(name, "n") == "n"]
    # (an option may depend on a driver, a file system or a protocol)
    assert len(lost) < len(base) / 4, lost


def build(*words: str, **environ: str) -> tuple[int, str]:
    done = kbuildpy("kernel", "build", *words, env=environ)
    return done.returncode, done.error_text


def test_a_configuration_that_cannot_boot_names_the_option(line: str, tmp_path: Path) -> None:
    config = tmp_path / "my.config"
    config.write_text("# CONFIG_TTY is not set\n")
    status, said = build(str(source_archive(line)), "--config", str(config))
    assert status == 1 and "without CONFIG_TTY the kernel cannot boot in QEMU" in said
    assert list((cache_directory() / "kernels/usr/src").glob(f".building-{line}.*-small-*")) == []


def test_an_option_that_cannot_be_had_is_told_with_its_condition(line: str, tmp_path: Path) -> None:
    config = tmp_path / "my.config"
    config.write_text("CONFIG_USB_STORAGE=y\n")
    status, said = build(str(source_archive(line)), "--config", str(config))
    assert status == 1 and "CONFIG_USB_STORAGE=y" in said and "it depends on" in said
    config.write_text("CONFIG_NO_SUCH_OPTION=y\n")
    status, said = build(str(source_archive(line)), "--config", str(config))
    assert status == 1 and "have no CONFIG_NO_SUCH_OPTION" in said


def test_missing_programs_and_old_compilers_are_named(line: str, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in os.environ["PATH"].split(":"):
        for path in Path(directory).glob("*") if Path(directory).is_dir() else ():
            if path.name not in {"flex", "gcc"} and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    (programs / "gcc").write_text("#!/bin/sh\necho 'gcc (Old) 4.1.0'\n")
    (programs / "gcc").chmod(0o755)
    status, said = build(str(source_archive(line)), PATH=str(programs))
    assert status == 1 and "a kernel cannot be built without flex" in said and "apt-get install flex" in said
    (programs / "flex").symlink_to(shutil.which("flex") or "/usr/bin/flex")
    status, said = build(str(source_archive(line)), PATH=str(programs))
    assert status == 1 and "gcc 4.1.0 is too old" in said and "scripts/min-tool-version.sh" in said


def test_a_build_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    archive = str(source_archive("6.1"))
    find_source(archive, tell=print)
    words = own_command("kernel", "build", archive, "--name", "interrupted", "--with", "no-smp")
    place = cache_directory() / "kernels/usr/src"
    log = place / ".building-6.1.192-interrupted/build.log"
    shutil.rmtree(log.parent, ignore_errors=True)
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 300
        while not (log.is_file() and log.read_text().count("  CC      kernel/") > 3):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    assert not (place / "linux-headers-6.1.192-interrupted").exists()
    compiled = log.read_text().count("  CC      kernel/")
    try:
        done = kbuildpy("kernel", "build", archive, "--name", "interrupted", "--with", "no-smp", "--format", "json")
        assert done.returncode == 0 and "going on where it was interrupted" in done.error_text, done.error_text
        found = Path(json.loads(done.text)["path"])
        names = [
            text for text in (found / "build.log").read_text().splitlines() if text.startswith("  CC      kernel/")
        ]
        assert len(names) > compiled and len({*names}) >= len(names) - 2, "some files were compiled twice"
    finally:
        kbuildpy("kernels", "--remove", "6.1.192-interrupted")
    assert not found.exists()
