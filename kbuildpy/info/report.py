# SPDX-License-Identifier: GPL-2.0-only
"""Everything that a module file tells, as one value.

What cannot be read, because the file is damaged there or its machine is not known, is left out and named in `unknown`:
the rest is still worth knowing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.info.devices import Match, in_words
from kbuildpy.info.fields import Field, checked_fields, signature_fields
from kbuildpy.info.fields_text import StatedParameter, stated_parameters
from kbuildpy.info.memory import ModuleMemory, memory_of
from kbuildpy.info.symbols import Export, Import, imports_of
from kbuildpy.info.tables import DebugMessage, Tracepoint, debug_messages, permissions, tracepoints
from kbuildpy.kernel.architecture import ARCHITECTURES
from kbuildpy.kernel.depmod_indexes import Softdeps, read_softdeps
from kbuildpy.kernel.module_identity import built_for
from kbuildpy.kernel.release import Version, version_of
from kbuildpy.loader import since
from kbuildpy.loader.btf.header import MAGIC
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.known import KNOWN_LOADERS, is_loader_known
from kbuildpy.loader.lay_out import take_apart
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines import WHOLE, listed
from kbuildpy.loader.stages.own_exports import own_exports
from kbuildpy.loader.stages.versions import module_versions
from kbuildpy.loader.verdict import Refusal, Undefined
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.signing.trailer import is_signed

Read = TypeVar("Read")


class ModuleParameter(NamedTuple):
    """A parameter of the module."""

    name: str
    type: str | None
    description: str | None
    mode: int | None
    """Mode of its file in /sys/module/NAME/parameters, 0 for no file; None where it is not known."""


class BtfSections(NamedTuple):
    """The module's type information."""

    size: int
    """Bytes of `.BTF`."""
    base_size: int
    """Bytes of `.BTF.base`, a copy of the kernel's types that it refers to; 0 where it has none, and goes on from the
    types of exactly the kernel that it was built for."""
    is_sound: bool
    """Whether it begins as type information does."""


class Needs(NamedTuple):
    """What a module needs, as it states it."""

    modules: tuple[str, ...]
    """`depends=`"""
    before: tuple[str, ...]
    """Soft dependencies that modprobe loads before it."""
    after: tuple[str, ...]
    """Those that it loads after it."""
    weak: tuple[str, ...]
    """`weakdep=`: modules that it may ask for itself."""
    firmware: tuple[str, ...]
    """Files that it may ask for."""
    namespaces: tuple[str, ...]
    """Namespaces that it imports."""


@dataclass(frozen=True)
class ModuleInfo:
    """A module file."""

    file: str
    """As modinfo prints it."""
    fields: tuple[Field, ...]
    """What modinfo prints."""
    built_for: str
    """The release in its vermagic; "" where that names none."""
    machine: str
    """Its architecture as `kernel.architecture` names it; "" for one that is not known."""
    kernel: str | None
    """The release of the kernel that was asked; None where none was."""
    memory: ModuleMemory | None
    parameters: tuple[ModuleParameter, ...]
    exports: tuple[Export, ...]
    imports: tuple[Import, ...]
    debug_messages: tuple[DebugMessage, ...]
    tracepoints: tuple[Tracepoint, ...]
    matches: tuple[Match, ...]
    """What its aliases stand for."""
    signature: SignatureState | None
    """None for a module that is not signed."""
    btf: BtfSections | None
    """None for a module without type information."""
    needs: Needs
    unknown: tuple[tuple[str, str], ...]
    """What could not be read, and why."""

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a field."""
        return tuple(value for tag, value in self.fields if tag == name)


def inspect(contents: bytes, shown: str, kernel: LoaderKernel | None) -> ModuleInfo:
    """All that is known of the module in `contents`, whose file is called `shown`, in `kernel`.

    Raises `KbuildError` for what is no module: no ELF file, or one without `.modinfo`.
    """
    image = ModuleImage(contents, shown)
    stated = checked_fields(image) + signature_fields(contents)
    release = built_for(image)
    machine = _machine(image)
    reading = _Reading()
    info = reading.of("its tables", lambda: take_apart(contents, _table_kernel(release, machine, kernel)))
    modes: dict[str, int] = reading.table("its parameters", info, permissions) or {}
    versions = reading.table("versions of symbols", info, module_versions) or {}
    return ModuleInfo(
        file=shown,
        fields=stated,
        built_for=release,
        machine=machine,
        kernel=kernel.release if kernel else None,
        memory=reading.of("its memory", lambda: _memory(contents, release, machine, kernel)),
        parameters=tuple(_parameters(stated_parameters(stated), modes if info is not None else None)),
        exports=tuple(reading.table("its exports", info, _exports) or ()),
        imports=tuple(
            reading.of("its imports", lambda: imports_of(image, versions, kernel.exports if kernel else None)) or ()
        ),
        debug_messages=tuple(reading.table("its debug messages", info, debug_messages) or ()),
        tracepoints=tuple(reading.table("its tracepoints", info, tracepoints) or ()),
        matches=tuple(in_words(value for tag, value in stated if tag == "alias")),
        signature=_signature(contents),
        btf=_btf(image),
        needs=_needs(stated),
        unknown=tuple(reading.unknown),
    )


def messages_of(image: ModuleImage) -> list[DebugMessage]:
    """The messages that dynamic debug can switch on. Raises `KbuildError` for a module whose tables cannot be read."""
    return _table_of(image, "debug messages", debug_messages)


def trace_events_of(image: ModuleImage) -> list[Tracepoint]:
    """The tracepoints that have a trace event. Raises `KbuildError` for a module whose tables cannot be read."""
    return [point for point in _table_of(image, "tracepoints", tracepoints) if point.system]


def _table_of(image: ModuleImage, what: str, read: Callable[[LoadInfo], Read]) -> Read:
    try:
        return read(take_apart(image.contents, _table_kernel(built_for(image), _machine(image), None)))
    except (Refusal, Undefined) as error:
        raise KbuildError(f"{image.filename}: its {what} cannot be read: {error}") from error


class _Reading:
    """Reads parts of a module, and notes those that cannot be read."""

    def __init__(self) -> None:
        self.unknown: list[tuple[str, str]] = []

    def of(self, what: str, read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except (Refusal, Undefined) as error:
            reason = str(error)
        except KbuildError as error:
            reason = error.message
        self.unknown.append((what, reason))
        return None

    def table(self, what: str, info: LoadInfo | None, read: Callable[[LoadInfo], Read]) -> Read | None:
        return None if info is None else self.of(what, lambda: read(info))


def _machine(image: ModuleImage) -> str:
    bits = 64 if image.header.is_64bit else 32
    known = (item for item in ARCHITECTURES if item.elf_machine == image.header.e_machine and item.bits == bits)
    return next((item.name for item in known), "")


def _table_kernel(built_for: str, machine: str, kernel: LoaderKernel | None) -> LoaderKernel:
    """A kernel by whose rules the module's tables are read: the one it was built for, as far as that is known."""
    if machine not in WHOLE:
        raise KbuildError(f"modules for {machine or 'such a machine'} are not taken apart here: {listed(WHOLE)} are")
    if kernel is not None and kernel.release == built_for and kernel.machine == machine:
        return kernel
    return LoaderKernel(built_for, max(_version(built_for) or since.OLDEST, since.OLDEST), machine)


def _memory(contents: bytes, built_for: str, machine: str, kernel: LoaderKernel | None) -> ModuleMemory:
    """In `kernel`, else in the one that it was built for, whose configuration is not known then."""
    version = _version(built_for)
    if kernel is None and version is None:
        raise KbuildError("its vermagic names no kernel; name one with -k")
    asked = kernel or LoaderKernel(built_for, version or since.OLDEST, machine)
    if not is_loader_known(asked.version, asked.machine):
        raise KbuildError(f"the loader of {asked.release} is not known here: {KNOWN_LOADERS} are")
    return memory_of(take_apart(contents, asked))


def _version(release: str) -> Version | None:
    try:
        return version_of(release)
    except ValueError:
        return None


def _parameters(stated: list[StatedParameter], modes: dict[str, int] | None) -> list[ModuleParameter]:
    """The parameters that are stated, then those that only the table has."""
    found = [
        ModuleParameter(item.name, item.type, item.description, None if modes is None else modes.get(item.name))
        for item in stated
    ]
    names = {item.name for item in stated}
    return found + [
        ModuleParameter(name, None, None, mode) for name, mode in (modes or {}).items() if name not in names
    ]


def _exports(info: LoadInfo) -> list[Export]:
    found = own_exports(info).items()
    return [Export(name, export.gpl_only, export.namespace, export.crc) for name, export in sorted(found)]


def _signature(contents: bytes) -> SignatureState | None:
    if not is_signed(contents):
        return None
    from kbuildpy.info.signature import state_without_keys  # (slow: cryptography)

    return state_without_keys(contents)


def _btf(image: ModuleImage) -> BtfSections | None:
    section, base = image.section(".BTF"), image.section(".BTF.base")
    if section is None or not section.size:
        return None
    magic = struct.pack(f"{image.header.order}H", MAGIC)
    return BtfSections(section.size, base.size if base else 0, image.section_data(section).startswith(magic))


def _needs(fields: tuple[Field, ...]) -> Needs:
    def values(tag: str) -> list[str]:
        return [value for name, value in fields if name == tag]

    soft: list[Softdeps] = [read_softdeps(value) for value in values("softdep")]
    return Needs(
        modules=tuple(name for value in values("depends") for name in value.split(",") if name),
        before=tuple(name for item in soft for name in item.pre),
        after=tuple(name for item in soft for name in item.post),
        weak=tuple(name for value in values("weakdep") for name in value.split()),
        firmware=tuple(values("firmware")),
        namespaces=tuple(values("import_ns")),
    )
