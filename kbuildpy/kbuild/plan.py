# SPDX-License-Identifier: GPL-2.0-only
"""`Plan`: what Kbuild would do for a module directory.

It has the modules, their objects, and for each object the commands in Kbuild's order. Names in it are nominal: the
files that `make -C KDIR M=DIR modules` would write, spelled as Kbuild spells them (absolute up to 6.12, relative to the
directory since). `layout` maps nominal names to files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BuildStep:
    """One command of a target."""

    rule: str
    """Kbuild's name of the command: `cc_o_c` for `cmd_cc_o_c`."""
    quiet: str
    """The line that Kbuild prints for it, `CC [M]  hello.o`; "" for none."""
    command: str
    """The expanded shell text."""


def step_of(record: Mapping[str, str]) -> BuildStep:
    """The command in a record of `mk/record.mk`."""
    return BuildStep(record["rule"], record["quiet"], record["command"])


@dataclass(frozen=True)
class ObjectPlan:
    """An object file (or another form of a source), and how it is made."""

    target: str
    """The object's nominal name."""
    source: str
    """Its source; the object itself if it came with the sources, "" if the source is not known."""
    steps: tuple[BuildStep, ...]
    """The commands that make it; empty where there is nothing to do, or where make makes it."""


@dataclass(frozen=True)
class ModulePlan:
    """A module, and how its object is linked."""

    target: str
    """The nominal name of the module's object, which modpost reads."""
    parts: tuple[str, ...]
    """The objects of a composite module in link order; empty for a module of a single object."""
    steps: tuple[BuildStep, ...]
    """The commands that link the parts."""
    prefix: str = ""
    """What precedes the name of each object in Kbuild's `.mod` file: "./" since 6.13. The srcversion depends on it,
    because modpost counts only headers whose names begin like the object's."""

    @property
    def name(self) -> str:
        """The module's name as modpost prints it: the name of its object without `.o`."""
        return self.target[: -len(".o")]

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects that the module is made of, in the order of Kbuild's `.mod` file."""
        return self.parts or (self.target,)

    @property
    def listed_objects(self) -> tuple[str, ...]:
        """The names of these objects in the `.mod` file."""
        return tuple(f"{self.prefix}{name}" for name in self.objects)


@dataclass(frozen=True)
class Plan:
    """What Kbuild would do for one module directory and one kernel tree."""

    directory: str
    """The directory as `M=` would name it (absolute, physical)."""
    modules: tuple[ModulePlan, ...]
    """The modules in Kbuild's order."""
    objects: tuple[ObjectPlan, ...]
    """Their objects, each once."""
    orders: tuple[tuple[str, str], ...]
    """The `modules.order` files that Kbuild writes, the directory's own first, each with its text."""
    extra_symbols: tuple[str, ...]
    """The words of KBUILD_EXTRA_SYMBOLS."""
    makefiles: tuple[str, ...]
    """The makefiles outside the tree that make read, sorted."""
    listed: tuple[str, ...]
    """The directories in which make looked for sources, sorted: the plan depends on the names of files there."""
    warnings: str
    """The standard error of make."""
    custom: bool
    """The Kbuild file has rules of its own, which make must carry out."""
    needed: tuple[str, ...]
    """The objects that make must make because those rules read them."""
    changeable: bool
    """The Kbuild file asks the shell or the file system: the plan can change while the Kbuild file does not."""
    goals: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The single targets that were asked for (below the directory), each with the files that it stands for: itself, or
    the module objects of a subdirectory."""
    singles: tuple[ObjectPlan, ...] = ()
    """The files of `goals` that are another form of a source (`x.i`)."""


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan as plain JSON values."""
    return asdict(plan)


def plan_from_json(value: dict[str, Any]) -> Plan:
    """The inverse of `plan_to_json`."""

    def steps(items: list[dict[str, str]]) -> tuple[BuildStep, ...]:
        return tuple(BuildStep(**item) for item in items)

    return Plan(
        directory=value["directory"],
        modules=tuple(
            ModulePlan(m["target"], tuple(m["parts"]), steps(m["steps"]), m["prefix"]) for m in value["modules"]
        ),
        objects=tuple(ObjectPlan(o["target"], o["source"], steps(o["steps"])) for o in value["objects"]),
        orders=tuple((name, text) for name, text in value["orders"]),
        extra_symbols=tuple(value["extra_symbols"]),
        makefiles=tuple(value["makefiles"]),
        listed=tuple(value["listed"]),
        warnings=value["warnings"],
        custom=value["custom"],
        needed=tuple(value["needed"]),
        changeable=value["changeable"],
        goals=tuple((name, tuple(files)) for name, files in value["goals"]),
        singles=tuple(ObjectPlan(o["target"], o["source"], steps(o["steps"])) for o in value["singles"]),
    )
