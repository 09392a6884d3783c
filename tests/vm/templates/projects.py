# SPDX-License-Identifier: GPL-2.0-only
"""Projects of all templates in one directory, built together and run in one boot.

That is what makes it possible to try every one of them every time. In each project NAME is the template's name with
`t_` before it, and the texts have what C and the shell could stumble over: a quote, a backslash, an umlaut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.rust import METADATA
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.scaffold.create import create_directory
from kbuildpy.scaffold.library import all_templates
from kbuildpy.scaffold.manifest import Template
from kbuildpy.scaffold.project import Project
from kbuildpy.scaffold.render import guest_files, render_project
from tests.support.arm64 import CROSS
from tests.support.builds import REPRODUCIBLE, Build, collect, kbuildpy, make
from tests.support.guest_kernels import kernel_to_run
from tests.support.packages import other_compiler
from tests.vm.templates.simulator import FOLDER, can_be_simulated, lay_out_simulator

DEFAULT, FLIPPED, BROKEN = "default", "flipped", "broken"
"""With the options as they are, with each of them the other way round, and with a mistake in each module."""

_COUNTING = ("notifier", "kprobe", "netfilter")
"""Templates whose tests count what goes on in the whole kernel: they come first, before others make it go on."""

# What both tools say that is not about the sources: no types where the headers have no vmlinux, or another pahole.
_NOISE = (
    "Skipping BTF generation",
    "pahole version differs",
    "The kernel was built with",
    "You are using:",
    "different kernel",
)


@cache
def templates() -> dict[str, Template]:
    """All templates that come with kbuildpy, by name."""
    return all_templates()


EVERY = sorted(templates())
"""The names of all templates."""


def fits(template: Template, tree: KernelTree) -> bool:
    """Whether the kernel of `tree` has what the template's modules and tests need."""
    return str(architecture_of(tree)) in template.architectures and all(
        has(tree, symbol) or (symbol == "CONFIG_GPIO_SIM" and can_be_simulated(tree)) for symbol in template.config
    )


def has(tree: KernelTree, symbol: str) -> bool:
    """Whether the kernel of `tree` has what `symbol` of its configuration stands for. Debian's headers of 7.3 say that
    there is Rust, and have nothing of what its modules are compiled against."""
    if symbol == "CONFIG_RUST" and not all((tree.objects / name).is_file() for name in METADATA):
        return False
    return tree.config.get(symbol) in ("y", "m")


def project_of(template: Template, variant: str, version: tuple[int, ...]) -> Project:
    """The project of a template in one of the variants, for a kernel of `version`.

    What is flipped for a kernel of 7.0 and later leaves out what is for older ones; all else is for any kernel that
    the template is for.
    """
    flip = variant == FLIPPED
    newest = flip and version >= (7, 0)
    return Project(
        template=template,
        name=f"t_{template.name.replace('-', '_')}",
        description=f'{template.name}: with "quotes", a \\ and an umlaut: \u00fc',
        author='J\u00f6rg "Joe" O\'Hara <joe@example.org>',
        license="GPL-2.0-only OR MIT" if flip else "GPL-2.0-only",
        kernel_min=(version[0], version[1]) if newest else template.kernels,
        options={option.name: option.default != flip for option in template.options},
    )


def lay_out(tree: KernelTree, place: Path, chosen: Iterable[Project], *, broken: bool = False) -> None:
    """Write `chosen` below `place`, and a Kbuild file that builds all of them; and what the kernel lacks for them."""
    place.mkdir(parents=True)
    lines = []
    for project in chosen:
        directory = place / project.name
        create_directory(directory, render_project(project))
        lines.append(f"obj-m += {project.name}/\n")
        if broken:
            break_project(project, directory)
        if "CONFIG_GPIO_SIM" in project.template.config and not has(tree, "CONFIG_GPIO_SIM"):
            lay_out_simulator(tree, place / FOLDER)
            lines.append(f"obj-m += {FOLDER}/\n")
    (place / "Kbuild").write_text("".join(lines))


def break_project(project: Project, directory: Path) -> None:
    """Apply the mutations of the template to its project in `directory`."""
    for mutation in project.template.mutations:
        if not project.wants(mutation.option):
            continue
        file = directory / project.named(mutation.file)
        text = file.read_text()
        find, replace = project.named(mutation.find), project.named(mutation.replace)
        assert text.count(find) == 1, f"{project.template.name}: {find!r} is {text.count(find)} times in {file.name}"
        file.write_text(text.replace(find, replace))


@dataclass(frozen=True)
class Together:
    """Projects that kbuildpy built together for a tree, with these variables."""

    tree: KernelTree
    place: Path
    projects: dict[str, Project]
    variables: tuple[str, ...]
    ours: Build

    def modules(self) -> list[Path]:
        """The module files."""
        return sorted((self.place / "build" / self.tree.release).rglob("*.ko"))

    def files_of(self, project: Project, build: Build) -> dict[str, bytes]:
        """What a build made for one project."""
        return {name: data for name, data in build.files.items() if name.startswith(f"{project.name}/")}

    def remarks_on(self, project: Project) -> list[str]:
        """What the compiler, sparse, modpost and the check said of one project."""
        return [line for line in remarks(self.ours.output) if project.name in line]


def remarks(output: str) -> list[str]:
    """The lines of a build that are neither titles (`  CC [M]  ...`) nor about the machine."""
    return [
        line
        for line in output.splitlines()
        if line.strip() and not line.startswith("  ") and not any(noise in line for noise in _NOISE)
    ]


def build_together(tree: KernelTree, place: Path, variant: str, *, chosen: Iterable[Project] = ()) -> Together:
    """All projects in one variant for `tree` (or those `chosen`), with warnings and sparse. Those with mistakes are
    not looked at so closely, and only the variant as users have it is built with what a debugger wants, which takes a
    fifth of the time."""
    projects = {project.template.name: project for project in chosen} or {
        name: project_of(template, variant, tree.version)
        for name, template in templates().items()
        if fits(template, tree) and (variant != FLIPPED or template.options)
    }
    cross = () if is_native(architecture_of(tree)) else CROSS
    variables = [*cross, *other_compiler(tree), REPRODUCIBLE]
    if variant != DEFAULT:
        variables += ["KCFLAGS=-g0", "CONFIG_DEBUG_INFO_BTF_MODULES="]
    if variant != BROKEN:
        # (for make as well: gcc makes other code of some sources when it looks for more to warn of)
        variables.append("W=1")
    lay_out(tree, place, projects.values(), broken=variant == BROKEN)
    # (sparse of this machine may be older than what the newest kernels take)
    sparse = [] if variant == BROKEN or tree.version >= (7, 0) else ["C=1"]
    done = kbuildpy("build", place, "-k", str(tree.objects), "-K", *sparse, *variables)
    ours = Build(done.returncode, done.text + done.error_text, collect(place / "build" / tree.release))
    return Together(tree, place, projects, tuple(variables), ours)


def build_by_make(together: Together) -> Build:
    """The same projects as make builds them, at the same path: beside the sources, where kbuildpy puts nothing."""
    done = make(together.tree, together.place, together.variables)
    return Build(done.returncode, done.text + done.error_text, collect(together.place))


def run_together(together: Together, *extra: str | Path) -> dict[str, Any]:
    """Load all modules in their kernel and run all tests, in one boot: the results of tests by their names, of modules
    by theirs."""
    words: list[str | Path] = []
    for option, values in _run_options(together.projects.values()).items():
        for value in values:
            words += [option, value]
    for project in sorted(together.projects.values(), key=_turn):
        for test in project.tests:
            words += ["--test", together.place / project.name / test]
    helpers = {Path(file).name: project for project in together.projects.values() for file in guest_files(project)}
    for helper, project in helpers.items():
        words += ["--file", together.place / project.name / "tests" / helper]
    kernel = kernel_to_run(together.tree)
    done = kbuildpy("run", *together.modules(), "-k", kernel, "--format", "json", *words, *extra)
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert lines, done.error_text[-4000:]
    assert "warning: " not in done.error_text, "a test's own program is compiled with a remark"
    found: dict[str, Any] = {result["name"]: result for result in lines}
    for test in lines[0]["tests"]:
        name = Path(test["name"]).name
        found[f"{name} (kunit)" if test["kind"] == "kunit" else name] = test
    return found


def _turn(project: Project) -> int:
    name = project.template.name
    return _COUNTING.index(name) if name in _COUNTING else len(_COUNTING)


def _run_options(projects: Iterable[Project]) -> dict[str, Sequence[str]]:
    options: dict[str, dict[str, None]] = {"--device": {}, "--module": {}, "--params": {}}
    for project in projects:
        options["--device"].update(dict.fromkeys(project.template.devices))
        options["--module"].update(dict.fromkeys(project.template.kernel_modules))
        options["--params"].update({f"{one.name}: {one.params}": None for one in project.modules if one.params})
    return {option: list(values) for option, values in options.items()}
