"""What Kbuild would do for a module directory, as values.

A `Plan` is what evaluation answers: modules, their objects, and for each object the commands, in Kbuild's
order. Names in it are nominal: the files that `make -C KDIR M=DIR modules` would write, spelled as Kbuild
spells them (absolute up to 6.12, relative to the directory since). Where files really go is `layout`'s.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One command of a target: `rule` is Kbuild's name of it (`cc_o_c` for `cmd_cc_o_c`), `quiet` what Kbuild
    prints for it (`CC [M]  hello.o`, empty when it prints nothing), `command` the expanded shell text."""

    rule: str
    quiet: str
    command: str


@dataclass(frozen=True)
class ObjectPlan:
    """An object file: `target` from `source` by `steps`."""

    target: str
    source: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ModulePlan:
    """A module: `target` is its object before modpost; `parts` are the objects of a composite module in link
    order, linked by `steps`, or empty for a module of a single object. `prefix` is what Kbuild's `.mod` file writes
    before the name of each of its objects: from 6.13 on "./", which decides the headers that srcversion counts."""

    target: str
    parts: tuple[str, ...]
    steps: tuple[Step, ...]
    prefix: str = ""

    @property
    def name(self) -> str:
        """The module as modpost names it: its object without `.o`."""
        return self.target[: -len(".o")]

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects that the module is made of, in the order of Kbuild's `.mod` file."""
        return self.parts or (self.target,)

    @property
    def listed_objects(self) -> tuple[str, ...]:
        """The same, as the `.mod` file names them."""
        return tuple(f"{self.prefix}{name}" for name in self.objects)


@dataclass(frozen=True)
class Plan:
    """What Kbuild would do for one module directory and one kernel tree.

    `directory` is the directory as `M=` would name it (absolute, physical); `orders` are the `modules.order` files
    that Kbuild writes, the directory's own first, each with its text; `extra_symbols` is the value of
    KBUILD_EXTRA_SYMBOLS; `makefiles` is what was read outside the tree; `listed` are the directories whose contents
    decided; `warnings` is what make printed on standard error; `custom` says that rules of the Kbuild file's own
    must be run by make, `needed` are the objects that make must make for those; `changeable` that the Kbuild file
    asks the shell or the file system, so that the answer can change without its text changing.
    """

    directory: str
    modules: tuple[ModulePlan, ...]
    objects: tuple[ObjectPlan, ...]
    orders: tuple[tuple[str, str], ...]
    extra_symbols: tuple[str, ...]
    makefiles: tuple[str, ...]
    listed: tuple[str, ...]
    warnings: str
    custom: bool
    needed: tuple[str, ...]
    changeable: bool


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan as plain JSON values."""
    return asdict(plan)


def plan_from_json(value: dict[str, Any]) -> Plan:
    """The inverse of `plan_to_json`."""

    def steps(items: list[dict[str, str]]) -> tuple[Step, ...]:
        return tuple(Step(**item) for item in items)

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
    )
