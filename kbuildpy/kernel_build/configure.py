# SPDX-License-Identifier: GPL-2.0-only
"""A recipe to a configuration: what is asked for, and all else off, as `make allnoconfig` makes it.

Kbuild's program drops what cannot be had without a word. So what it wrote is compared with what was asked for, and what
is missing is told with the condition that does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel_build.kconfig import KconfigOption, read_kconfig, unmet
from kbuildpy.kernel_build.make import make
from kbuildpy.kernel_build.option_sets import read_options
from kbuildpy.kernel_build.recipe import KernelRecipe

WANTED = ".wanted.config"
"""The file in a kernel's directory with what was asked for."""

_FOR_A_GUEST = {
    "BLK_DEV_INITRD": "the guest's programs come in an initial file system",
    "BINFMT_ELF": "the guest's programs are ELF files",
    "BINFMT_SCRIPT": "the guest's first program is a script",
    "TTY": "the log comes over a serial port",
    "PRINTK": "the log is what is read",
    "MODULES": "modules are what is loaded",
    "PROC_FS": "modules are looked up in /proc",
    "SYSFS": "modules are looked up in /sys",
}
"""What a kernel has to have for `kbuildpy run`, and why."""


def configure(recipe: KernelRecipe, place: Path) -> None:
    """Write the configuration of `recipe` in the directory `place`. Raises `KbuildError` if it cannot be had."""
    kconfig = read_kconfig(recipe.source, recipe.toolchain.machine.srcarch)
    wanted = {name: value for name, value in recipe.options.items() if name in kconfig}
    unknown = _unknown(recipe, kconfig)
    if unknown:
        raise KbuildError(
            f"the sources of {recipe.source.version} have no {', '.join(f'CONFIG_{name}' for name in unknown)}",
            hint="these sources are too old or too new for it, or another architecture has it",
        )
    wanted_file = place / WANTED
    wanted_file.write_text("".join(map(_line, wanted.items())))
    make(recipe, place, f"KCONFIG_ALLCONFIG={wanted_file}", "allnoconfig")
    got = read_options(place / ".config")
    asked = _asked(recipe, kconfig)
    lost = [name for name in asked if name in kconfig and not same(got.get(name, "n"), asked[name])]
    if lost:
        reasons = "; ".join(_reason(kconfig[name], asked[name], got) for name in lost)
        raise KbuildError(f"{recipe.release}: the sources cannot have {reasons}", hint=_hint(recipe, kconfig, lost))
    for name, why in _FOR_A_GUEST.items():
        if name in kconfig and got.get(name, "n") != "y":
            raise KbuildError(
                f"{recipe.release}: without CONFIG_{name} the kernel cannot boot in QEMU for `kbuildpy run`: {why}",
                hint=f"set CONFIG_{name}=y, or leave out what unsets it",
            )


def configured(recipe: KernelRecipe) -> dict[str, str]:
    """The options of the configuration that `recipe` leads to, those included that Kconfig adds: symbol without
    CONFIG_ -> value. Remembered. Raises what `configure` raises."""
    kept = cache_directory() / "configurations" / f"{recipe.digest[:20]}.json"
    remembered = read_json(kept)
    if isinstance(remembered, dict):
        return remembered
    with TemporaryDirectory(prefix="kbuildpy-") as scratch:
        configure(recipe, Path(scratch))
        found = read_options(Path(scratch, ".config"))
    write_json(kept, found)
    return found


def same(got: str, wanted: str) -> bool:
    """Whether an option's value is the one that was asked for; built in is more than a module."""
    return got == wanted or (wanted == "m" and got == "y")


def _asked(recipe: KernelRecipe, kconfig: Mapping[str, KconfigOption]) -> dict[str, str]:
    """What has to be as it was asked for: all but another kernel's configuration, which is followed as far as it goes,
    and options of the base that the architecture or the version does not have."""
    found: dict[str, str] = {}
    for each in recipe.sets:
        found.update(each.options)
    found.update(recipe.more or {})
    main = {each.main_of(kconfig) for each in recipe.sets} | {*(recipe.more or {})}
    # (what goes with a set's main option differs by version and compiler)
    return {name: value for name, value in found.items() if name in main}


def _unknown(recipe: KernelRecipe, kconfig: Mapping[str, KconfigOption]) -> list[str]:
    return [name for name, value in _asked(recipe, kconfig).items() if name not in kconfig and value != "n"]


def _line(item: tuple[str, str]) -> str:
    name, value = item
    return f"# CONFIG_{name} is not set\n" if value == "n" else f"CONFIG_{name}={value}\n"


def _reason(option: KconfigOption, wanted: str, got: Mapping[str, str]) -> str:
    shown = f"CONFIG_{option.name}={wanted}"
    conditions = unmet(option, got)
    if wanted == "n":
        return f"{shown} (something selects it, or it cannot be switched off)"
    if not option.has_prompt:
        return f"{shown} (it cannot be set by itself: others select it)"
    if not conditions:
        return f"{shown} ({option.files[0]} has a condition that is not met, on the compiler for one)"
    return f"{shown} (it depends on {' and '.join(conditions[:4])})"


def _hint(recipe: KernelRecipe, kconfig: Mapping[str, KconfigOption], lost: Sequence[str]) -> str:
    if any(each.main_of(kconfig) in lost for each in recipe.sets):
        return "another compiler (--llvm), other sources or another machine (--arch) may have it; see `--with help`"
    return "add what they depend on, or leave them out"
