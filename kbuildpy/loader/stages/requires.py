"""What a module needs before it, and what it brings to be called: init and exit.

The kernel takes no module in for another (that is modprobe's work); it finds the owners of the symbols among those that
are loaded, and holds them.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHT_REL, SHT_RELA
from kbuildpy.errors import KbuildError
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.own_exports import relocations


def in_order(info: LoadInfo) -> tuple[str, ...]:
    """The owners of the symbols that the module uses, and what those need in turn, each after its own needs."""
    order: list[str] = []
    unknown = False
    for owner in info.requires:
        try:
            below = _needs(info, owner)
        except KbuildError as error:
            info.not_checked(f"what {owner} needs itself: {error.message}")
            below = ()
        # (of one that was not given, that is said already)
        unknown = unknown or (below is None and owner not in (info.absent or ()))
        order += [name for name in (*(below or ()), owner) if name not in order]
    if unknown:
        info.not_checked("what the modules that it requires need themselves", "the kernel's own modules")
    return tuple(order)


def _needs(info: LoadInfo, name: str) -> tuple[str, ...] | None:
    """What module `name` needs: as it is loaded, else as the kernel's own module of that name."""
    loaded = info.modules.find(name)
    if loaded is None:
        return info.kernel.depends_of(name) if info.kernel.depends_of else None
    order: list[str] = []
    for below in loaded.uses:
        order += [item for item in (*(_needs(info, below) or ()), below) if item not in order]
    return tuple(order)


def init_and_exit(info: LoadInfo) -> tuple[bool, bool]:
    """Whether struct module's `init` and `exit` are set: by relocations, or in the file."""
    known = info.kernel.struct_module
    if known is None:
        return True, True
    places = {
        entry.offset
        for number, section in enumerate(info.sechdrs)
        if section.sh_type in (SHT_REL, SHT_RELA) and section.sh_info == info.index.mod
        for entry in relocations(info, number)
    }
    contents = info.data(info.index.mod)

    def is_set(place: int | None) -> bool:
        return place is not None and (place in places or any(contents[place : place + 8]))

    return is_set(known.init), is_set(known.exit)
