# SPDX-License-Identifier: GPL-2.0-only
"""`TreeAnswer`: what a kernel tree decides for every external module.

`ask_tree` returns it; `parse_tree_answer` makes it from make's output. It has a placeholder in place of the module
directory (`placeholder`), so that one answer serves every module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kbuildpy.kbuild.make_environment import base_environment
from kbuildpy.kbuild.placeholder import PLACEHOLDER, PLACEHOLDER_FIXED
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kernel.tree import KernelTree

COMMON_OBJECT = ".module-common.o"
"""The object that Kbuild links into each module since 6.12 (scripts/Makefile.modfinal)."""
FIXDEP = "scripts/basic/fixdep"
"""The tree's program that writes `.cmd` files."""


@dataclass(frozen=True)
class TreeAnswer:
    """What a tree decides for every external module."""

    tree: KernelTree
    """The tree that was asked."""
    placeholder: str
    """The path that stands for the module directory in everything below."""
    environment: Mapping[str, str | None]
    """The variables that the top Makefile changes in the environment; None for a removed one."""
    in_directory: bool
    """Kbuild runs in the module directory (since 6.13) and not in the tree's object part."""
    modpost: BuildStep
    """The command that runs modpost over the module objects."""
    compile_mod_c: tuple[BuildStep, ...]
    """The commands that compile a module's `.mod.c`."""
    common_object: str
    """The name of `.module-common.o`, which kernels since 6.12 link into every module; "" where there is none."""
    common_source: str
    """The source of `.module-common.o`, relative to Kbuild's working directory."""
    compile_common: tuple[BuildStep, ...]
    """The commands that compile `.module-common.o`."""
    link: tuple[BuildStep, ...]
    """The commands that make the `.ko`: the final link, and those after it (BTF)."""
    link_needs: tuple[str, ...]
    """The files of the tree that the final link reads (absolute)."""
    compiler: str
    """The compiler's version text."""
    programs: Mapping[str, str]
    """The command of each program that the tree names: CC, LD, NM, OBJCOPY, PAHOLE, AR, HOSTCC, CHECK; for a kernel
    with Rust also RUSTC, RUSTC_OR_CLIPPY, BINDGEN, RUSTFMT."""
    makefiles: tuple[str, ...]
    """The makefiles that were read (absolute)."""
    variables: tuple[tuple[str, str], ...]
    """The make variables that were given with the question, sorted."""
    identity: str
    """A digest of the tree's answer and of its programs: answers of the same identity have the same commands."""
    repeats_headers: bool = False
    """The tree's fixdep writes a header to the `.cmd` file as often as the compiler's depfile names it."""
    warnings: str = ""
    """The warnings that the makefiles print in every build, such as that of another compiler than the kernel's."""
    state: str = ""
    """A digest of the stamps of the makefiles, the configuration and the programs. If it changes, cached plans of
    module directories no longer hold."""

    def working_directory(self, directory: str) -> str:
        """The directory in which Kbuild runs its commands for the module directory `directory`."""
        return directory if self.in_directory else str(self.tree.objects)

    def environment_for(self, environ: Mapping[str, str], directory: str) -> dict[str, str]:
        """The environment in which Kbuild runs its commands for the module directory `directory`.

        PWD names that directory, as when make is called there: Kbuild files use `$(PWD)` in paths.
        """
        env = base_environment(environ, directory)
        for name, value in self.environment.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value.replace(self.placeholder, directory)
        return env

    def steps_for(self, steps: tuple[BuildStep, ...], *, directory: str, module: str = "") -> tuple[BuildStep, ...]:
        """`steps` of this answer for the module whose path below `directory`, without a suffix, is `module`."""
        folder, _, name = module.rpartition("/")
        fixed = name.replace("-", "_").replace(",", "_")

        def fill(text: str) -> str:
            if module:
                nested = f"{folder}/" if folder else ""
                text = text.replace(f"{self.placeholder}/{PLACEHOLDER}", f"{directory}/{nested}{name}")
                text = text.replace(f"{self.placeholder}/.{PLACEHOLDER}", f"{directory}/{nested}.{name}")
                text = text.replace(f"./.{PLACEHOLDER}", f"./{nested}.{name}")
                # Kbuild links an object again under a name of its own (scripts/Makefile.lib: cmd_ld_single).
                text = text.replace(f"{self.placeholder}/.tmp_{PLACEHOLDER}", f"{directory}/{nested}.tmp_{name}")
                text = text.replace(f"./.tmp_{PLACEHOLDER}", f"{nested or './'}.tmp_{name}")
                text = text.replace(PLACEHOLDER, f"{nested}{name}").replace(PLACEHOLDER_FIXED, fixed)
                # A depfile's name has no comma (scripts/Kbuild.include: depfile).
                text = text.replace(f"/.{name}.mod.o.d", f"/.{name.replace(',', '_')}.mod.o.d")
            return text.replace(self.placeholder, directory)

        return tuple(BuildStep(step.rule, fill(step.quiet), fill(step.command)) for step in steps)


def answer_to_json(answer: TreeAnswer) -> dict[str, Any]:
    """`answer` as plain JSON values, without its tree."""
    return asdict(answer) | {"tree": None}


def answer_from_json(value: Mapping[str, Any], tree: KernelTree) -> TreeAnswer:
    """The inverse of `answer_to_json`. Raises KeyError or TypeError for a value that another version wrote."""

    def steps(items: list[dict[str, str]]) -> tuple[BuildStep, ...]:
        return tuple(BuildStep(**item) for item in items)

    rest = {
        "tree": tree,
        "modpost": BuildStep(**value["modpost"]),
        "variables": tuple((name, text) for name, text in value["variables"]),
        **{name: steps(value[name]) for name in ("compile_mod_c", "compile_common", "link")},
        **{name: tuple(value[name]) for name in ("link_needs", "makefiles")},
    }
    return TreeAnswer(**{**value, **rest})
