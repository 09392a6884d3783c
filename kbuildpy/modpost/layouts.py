# SPDX-License-Identifier: GPL-2.0-only
"""Sizes and member offsets of the device-id structs, from the target's compiler (`layout_probe`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class StructLayout:
    """The layout of one struct."""

    size: int
    """The size of the struct in bytes."""
    members: Mapping[str, tuple[int, int]]
    """The offset and the size of each member, in bytes."""


@dataclass(frozen=True)
class DeviceTableLayouts:
    """The layouts of all device-id structs of a tree."""

    structs: Mapping[str, StructLayout]
    """The layouts by the struct's name."""

    def to_json(self) -> dict[str, object]:
        """A value for `json.dump`."""
        return {
            name: {"size": layout.size, "members": {member: list(place) for member, place in layout.members.items()}}
            for name, layout in self.structs.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, object]]) -> DeviceTableLayouts:
        """The inverse of `to_json`. Raises `KbuildError` for a `value` of another form."""
        structs = {}
        try:
            for name, layout in value.items():
                size, members = layout["size"], layout["members"]
                if not isinstance(size, int) or not isinstance(members, dict):
                    raise TypeError
                structs[name] = StructLayout(
                    size, {member: (int(at), int(long)) for member, (at, long) in members.items()}
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KbuildError("device table layouts: the cached value is damaged", hint="remove the cache") from error
        return cls(structs)
