# SPDX-License-Identifier: GPL-2.0-only
"""A template's manifest, `template.toml`: its summary, files, options, and the requirements of its test.

In names and paths `NAME` stands for the module's name. Keys that are not known are refused: a misspelt one would leave
a test without what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.toml_text import parse_toml

FILE_NAME = "template.toml"
OLDEST = (6, 1)
"""The oldest kernel that a template without a word about it is for."""

_REQUIRED = object()


@dataclass(frozen=True)
class Module:
    """A module of a template."""

    name: str
    sources: tuple[str, ...]
    # as insmod takes them, for the test
    params: str = ""
    # "" or the option that it is there with
    option: str = ""


@dataclass(frozen=True)
class Test:
    """A program that tests the modules in a guest."""

    __test__ = False  # (to pytest)

    # below the project
    file: str
    option: str = ""


@dataclass(frozen=True)
class Option:
    """A part of the template that the user may turn on or off."""

    name: str
    summary: str
    default: bool


@dataclass(frozen=True)
class Mutation:
    """A mistake that a test must find: `find`, which occurs once in `file`, becomes `replace`."""

    file: str
    find: str
    replace: str
    # the tests that must fail with the mistake
    fails: tuple[str, ...]
    # the option that the place needs; "" for none
    option: str = ""


@dataclass(frozen=True)
class Template:
    """A template: its folder and what its manifest says."""

    name: str
    folder: Path
    summary: str
    # the oldest kernel that it is for
    kernels: tuple[int, int]
    # where its test passes, as `str(Architecture)` has them
    architectures: tuple[str, ...]
    # configuration symbols that a kernel must have for the test
    config: tuple[str, ...]
    # QEMU devices that the test needs
    devices: tuple[str, ...]
    # the kernel's own modules that the test needs loaded, each with its parameters
    kernel_modules: tuple[str, ...]
    # the files of templates/shared/tests that the tests use
    test_helpers: tuple[str, ...]
    modules: tuple[Module, ...]
    tests: tuple[Test, ...]
    options: tuple[Option, ...]
    # files that are there only with an option
    files: Mapping[str, str]
    mutations: tuple[Mutation, ...]

    def to_json(self) -> dict[str, object]:
        """One line of `kbuildpy new --list --format json`."""
        return {
            "name": self.name,
            "summary": self.summary,
            "kernels": ">={}.{}".format(*self.kernels),
            "devices": list(self.devices),
            "architectures": list(self.architectures),
            "config": list(self.config),
            "kernel_modules": list(self.kernel_modules),
            "options": [
                {"name": option.name, "summary": option.summary, "default": option.default} for option in self.options
            ],
        }


def read_manifest(folder: Path) -> Template:
    """The template in `folder`. Raises `KbuildError` that names the manifest, and the line or the key, where it is
    missing or not right."""
    path = folder / FILE_NAME
    try:
        text = path.read_text()
    except FileNotFoundError as missing:
        raise KbuildError(
            f"{folder}: no template: {FILE_NAME} is missing", hint="a template is a folder with a manifest of that name"
        ) from missing
    except (OSError, UnicodeDecodeError) as error:
        raise KbuildError(f"{path}: {error}") from error
    table = _Table(path, "", parse_toml(path, text))
    template = Template(
        name=folder.resolve().name,
        folder=folder,
        summary=table.text("summary"),
        kernels=parse_version(table.text("kernels", "{}.{}".format(*OLDEST)), f"{path}: kernels"),
        architectures=table.texts("architectures", ("x86_64", "arm64")),
        config=table.texts("config"),
        devices=table.texts("devices"),
        kernel_modules=table.texts("kernel_modules"),
        test_helpers=table.texts("test_helpers"),
        modules=tuple(_module(item) for item in table.tables("modules"))
        or (Module("NAME", ("NAME.c",), table.text("params", "")),),
        tests=tuple(_test(item) for item in table.tables("tests")) or (Test("tests/NAME.sh"),),
        options=tuple(_option(name, item) for name, item in table.named("options").items()),
        files=table.strings("files"),
        mutations=tuple(_mutation(item) for item in table.tables("mutations")),
    )
    table.text("params", "")
    table.refuse_others()
    _check_options(path, template)
    return template


def parse_version(text: str, what: str) -> tuple[int, int]:
    """`6.1` as numbers. Raises `KbuildError` that begins with `what`."""
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", text)
    if not match:
        raise KbuildError(f"{what} {text!r}: not the version of a kernel", hint="such as 6.1")
    return int(match[1]), int(match[2])


def _module(table: _Table) -> Module:
    found = Module(
        name=table.text("name"),
        sources=table.texts("sources", (f"{table.text('name')}.c",)),
        params=table.text("params", ""),
        option=table.text("option", ""),
    )
    # (Kbuild links NAME.o from the objects, so none of them can be NAME.o itself)
    if len(found.sources) > 1 and found.name in (source.rpartition(".")[0] for source in found.sources):
        raise table.wrong("sources", f"a list without {found.name}.c: {found.name}.o is linked from all of them")
    table.refuse_others()
    return found


def _test(table: _Table) -> Test:
    found = Test(table.text("file"), table.text("option", ""))
    table.refuse_others()
    return found


def _option(name: str, table: _Table) -> Option:
    found = Option(name, table.text("summary"), table.flag("default"))
    table.refuse_others()
    return found


def _mutation(table: _Table) -> Mutation:
    found = Mutation(
        file=table.text("file"),
        find=table.text("find"),
        replace=table.text("replace"),
        fails=table.texts("fails", ("tests/NAME.sh",)),
        option=table.text("option", ""),
    )
    table.refuse_others()
    return found


def _check_options(path: Path, template: Template) -> None:
    known = {option.name for option in template.options} | {""}
    used = [
        *(module.option for module in template.modules),
        *(test.option for test in template.tests),
        *(mutation.option for mutation in template.mutations),
        *template.files.values(),
    ]
    for name in used:
        if name not in known:
            raise KbuildError(f"{path}: option {name!r} is not among [options]")


class _Table:
    """A table of a manifest: values by key, each taken once, with what must be said when one is not right."""

    def __init__(self, path: Path, place: str, values: Mapping[str, Any]) -> None:
        self._path, self._place, self._values = path, place, values
        self._taken: set[str] = set()

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or (not value and default is _REQUIRED and key != "replace"):
            raise self.wrong(key, "a string")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self._get(key, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, "a list of strings")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self._get(key, _REQUIRED)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def strings(self, key: str) -> dict[str, str]:
        value = self._get(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self.wrong(key, "a table of strings")
        return value

    def tables(self, key: str) -> list[_Table]:
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"tables, each headed [[{key}]]")
        return [_Table(self._path, f"{key}[{number}].", item) for number, item in enumerate(value)]

    def named(self, key: str) -> dict[str, _Table]:
        value = self._get(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            raise self.wrong(key, f"tables, each headed [{key}.NAME]")
        return {name: _Table(self._path, f"{key}.{name}.", item) for name, item in value.items()}

    def refuse_others(self) -> None:
        unknown = [f"{self._place}{key}" for key in self._values if key not in self._taken]
        if unknown:
            raise KbuildError(f"{self._path}: unknown key {', '.join(unknown)}")

    def _get(self, key: str, default: Any) -> Any:
        self._taken.add(key)
        if key not in self._values and default is _REQUIRED:
            raise KbuildError(f"{self._path}: {self._place}{key} is missing")
        return self._values.get(key, default)

    def wrong(self, key: str, wanted: str) -> KbuildError:
        return KbuildError(f"{self._path}: {self._place}{key} is not {wanted}: {self._values.get(key)!r}")
