# SPDX-License-Identifier: GPL-2.0-only
"""Fields in modinfo's layout (kmod: tools/modinfo.c: modinfo_do, modinfo_params_do), byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kbuildpy.info.fields import Field

_WIDTH = 16
_COLUMN = 15
"""Bytes of a name without blanks behind it; a longer one has as many as it is longer (printf's negative width)."""


@dataclass(frozen=True)
class StatedParameter:
    """What `.modinfo` says of a parameter."""

    name: str
    description: str | None = None
    type: str | None = None


def stated_parameters(fields: Iterable[Field]) -> list[StatedParameter]:
    """The parameters in `parm` and `parmtype`, in the order in which they are named first; of several descriptions of
    one, the last counts. An entry without a colon is passed over."""
    found: dict[str, StatedParameter] = {}
    for field in fields:
        if field.name not in ("parm", "parmtype"):
            continue
        name, colon, text = field.value.partition(":")
        if not colon:
            continue
        known = found.get(name, StatedParameter(name))
        if field.name == "parm":
            found[name] = StatedParameter(name, text, known.type)
        else:
            found[name] = StatedParameter(name, known.description, text)
    return list(found.values())


def all_fields(filename: str, fields: Sequence[Field], *, end: str = "\n", built_in: str = "") -> str:
    """All fields as `modinfo` prints them, with `end="\\0"` as `modinfo -0`; `built_in` is the name of a module that
    has no file."""
    rows = [f"{'name:':{_WIDTH}}{built_in}"] if built_in else []
    rows.append(f"{'filename:':{_WIDTH}}{filename}")
    for name, value in fields:
        if name not in ("parm", "parmtype"):
            blanks = " " * abs(_COLUMN - len(_bytes(name)))
            rows.append(f"{name}={value}" if end == "\0" else f"{name}:{blanks}{value}")
    for parameter in reversed(stated_parameters(fields)):
        rows.append(f"{'parm:':{_WIDTH}}{_in_a_list(parameter)}")
    return "".join(row + end for row in rows)


def one_field(wanted: str, filename: str, fields: Sequence[Field], *, end: str = "\n") -> str:
    """The values of the fields called `wanted`, as `modinfo -F` prints them."""
    if wanted == "filename":
        return filename + end
    if wanted == "parm":
        return "".join(_by_itself(parameter) + end for parameter in reversed(stated_parameters(fields)))
    return "".join(value + end for name, value in fields if name == wanted)


def _in_a_list(parameter: StatedParameter) -> str:
    if parameter.description is None:
        return f"{parameter.name}:{parameter.type}"
    return _by_itself(parameter)


def _by_itself(parameter: StatedParameter) -> str:
    if parameter.description is None:
        return f"{parameter.name}: ({parameter.type})"
    kind = "" if parameter.type is None else f" ({parameter.type})"
    return f"{parameter.name}:{parameter.description}{kind}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
