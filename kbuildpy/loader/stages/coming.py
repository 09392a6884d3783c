# SPDX-License-Identifier: GPL-2.0-only
"""Announces the module to the rest of the kernel: kernel/module/main.c: prepare_coming_module, and its notifiers.

Livepatch comes first, then the notifiers in the order of their priority: jump labels and tracing, static calls, type
information. They follow pointers in the module's tables. Read-only memory is protected by now, so what they write to
must be writable. It must still be writable after init if they write to it again when the module is removed.
"""

from __future__ import annotations

from collections.abc import Callable

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.elf.kernel_symbol import field_size
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, TABLES
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import machine_of
from kbuildpy.loader.memory.code import Code
from kbuildpy.loader.memory.data import Memory, SectionOffset
from kbuildpy.loader.memory.pointers import Pointer, pointers, sites
from kbuildpy.loader.memory.protection import gone, is_removable, not_writable, sealed
from kbuildpy.loader.parameters.dyndbg import ddebug_add_module
from kbuildpy.loader.verdict import Undefined

TAIL = 1
"""Bit in the distance to the key of a static call: the call is a tail call (STATIC_CALL_SITE_TAIL)."""
KEY = 16
"""sizeof(struct static_key) and sizeof(struct static_call_key), in bytes. The kernel writes to the second half."""
HEAD = 16
"""The least number of bytes of a `struct srcu_struct` or a `struct trace_event_call` that the kernel writes to."""


def prepare_coming_module(info: LoadInfo) -> None:
    """Run the notifiers between complete_formation() and the parameters. Raises `Refusal` or `Undefined`."""
    info.stage = "klp_module_coming"
    if info.mod_name == "vmlinux" and info.is_set("LIVEPATCH"):
        raise info.refuse(
            "EINVAL",
            "livepatch: vmlinux.ko: invalid module name",
            "livepatch calls the kernel itself vmlinux, so no module can have that name",
            hint="give the module another name",
        )
    if info.machine.is_whole:
        _follow_tables(info)
    elif info.is_set("EVENT_TRACING"):
        _has_bad_taint(info)
    if info.kernel.version >= since.DYNDBG_NOTIFIED:
        info.stage = "ddebug_module_notify"
        ddebug_add_module(info)
    info.stage = "btf_module_notify"
    if info.is_set("DEBUG_INFO_BTF_MODULES") and info.find_any_sec(".BTF"):
        from kbuildpy.loader.stages.btf import btf_module_notify  # few modules need this import

        btf_module_notify(info)


def _follow_tables(info: LoadInfo) -> None:
    """Run the notifiers that follow pointers in the module's tables."""
    info.stage = "jump_label_module_notify"
    if info.is_set("JUMP_LABEL"):
        _jump_label_add_module(info)
    info.stage = "trace_module_notify"
    if info.is_set("EVENT_TRACING"):
        _trace_module_add_events(info)
    info.stage = "static_call_module_notify"
    is_static_call = machine_of(info).is_static_call
    if is_static_call is not None and info.is_set("HAVE_STATIC_CALL_INLINE"):
        _static_call_add_module(info, is_static_call)
    info.stage = "prepare_coming_module"
    number = info.find_sec("__tracepoints_ptrs")
    if number and info.is_set("TRACEPOINTS"):
        field = field_size(info.machine.e_machine)
        for _, pointer in sites(info, number, field, info.machine.relocations.absolute if field == 8 else None):
            _exists(info, number, pointer)
    if info.is_set("TREE_SRCU"):
        info.stage = "srcu_module_notify"
        _srcu_module_coming(info)
    if info.is_set("TRACING"):
        info.stage = "module_trace_bprintk_format_notify"
        _hold_module_trace_bprintk_format(info)
    if info.is_set("KUNIT"):
        info.stage = "kunit_module_notify"
        _follow(info, ".kunit_test_suites")


def _jump_label_add_module(info: LoadInfo) -> None:
    """Check each `struct jump_entry`: the distances to the code, to the target, and to the key, which is written to
    (kernel/jump_label.c)."""
    number = info.find_sec("__jump_table")
    if not number:
        return
    _is_written(info, number)
    targets, keys = pointers(info, number), pointers(info, number, info.machine.relocations.relative64)
    code = Code(info)
    for offset, pointer in sites(info, number, 16):
        code.at(number, pointer, 2)
        for field, found in ((offset + 4, targets), (offset + 8, keys)):
            if field not in found:
                raise Undefined(
                    info.stage,
                    f"the pointer at {field:#x} of __jump_table is not relocated, and the kernel follows it",
                    AS_BUILT,
                )
        if not _is_null(info, keys[offset + 8]):
            _takes(info, number, keys[offset + 8], KEY)


def _trace_module_add_events(info: LoadInfo) -> None:
    """Check the trace events of the module."""
    if _has_bad_taint(info):
        return
    for pointer in _follow(info, "_ftrace_events"):
        _takes(info, info.find_sec("_ftrace_events"), pointer, HEAD)
    _follow(info, "_ftrace_eval_map")


def _has_bad_taint(info: LoadInfo) -> bool:
    """Whether the kernel ignores the trace events of the module, because it is tainted (kernel/trace/trace_events.c,
    kernel/tracepoint.c: trace_module_has_bad_taint); logs that if it has any."""
    fine = set("OCEN")
    if info.kernel.version >= since.LIVEPATCH_TRACED:
        fine.add("K")
    if info.taints.module <= fine:
        return False
    number = info.find_sec("_ftrace_events")
    if number and info.sechdrs[number].sh_size >= info.machine.word:
        info.log(f"{info.mod_name}: module has bad taint, not creating trace events")
    return True


def _static_call_add_module(info: LoadInfo, is_static_call: Callable[[bytes, bool], bool]) -> None:
    """Check each `struct static_call_site`: the distance to the call, and the distance to its key, or to its trampoline
    if the key is not exported (kernel/static_call_inline.c, arch/x86/kernel/static_call.c: __static_call_validate)."""
    number = info.find_sec(".static_call_sites")
    if not number:
        return
    if info.sechdrs[number].sh_size >= 16:
        # The kernel sorts the table in place, if it has two entries or more.
        _is_written(info, number)
    found = pointers(info, number)
    code = Code(info)
    for offset, pointer in sites(info, number, 8):
        if 0 < pointer.section < len(info.sechdrs) and info.is_init_section(info.section_name(pointer.section)):
            _is_written(info, number)
        key = found.get(offset + 4)
        if key is None:
            raise Undefined(
                info.stage,
                f"the pointer at {offset + 4:#x} of .static_call_sites is not relocated, and the kernel follows it",
                AS_BUILT,
            )
        _check_key(info, number, key)
        first = code.up_to(number, pointer, 5)
        if not is_static_call(first, bool(key.offset & TAIL)):
            raise Undefined(
                info.stage,
                f"code at {pointer.offset:#x} of {info.section_name(pointer.section)} is not a static call: "
                f'BUG(), after "unexpected static_call insn opcode {first[0] if first else 0:#x}"',
                TABLES,
            )


def _check_key(info: LoadInfo, number: int, key: Pointer) -> None:
    """Check the key of a static call: it must be data, or the trampoline that stands for a key of the kernel or another
    module. For any other code, the kernel finds no key."""
    if not key.section:
        _exists(info, number, key)
        name = info.symbol_name(key.symbol)
        if name.startswith("__SCT__"):
            # The kernel replaces the address of the trampoline by that of the key.
            _is_written(info, number)
        if name.startswith(("__SCK__", "__SCT__")):
            return
        raise Undefined(
            info.stage,
            f"an entry of .static_call_sites has {name!r} for its key, which is neither a key (__SCK__NAME) nor a "
            "trampoline (__SCT__NAME)",
            TABLES,
        )
    _exists(info, number, key)
    if info.sechdrs[key.section].sh_flags & SHF_EXECINSTR:
        info.log("Failed to fixup __raw_static_call() usage at: <site>")
        info.log("Failed to allocate memory for static calls")
        raise Undefined(
            info.stage,
            "a static call goes by a trampoline in the module, whose key the kernel does not find; "
            "it would refuse the module, and on the way takes the trampoline's code for a key",
            hint="use static_call() where the key is the module's own",
        )
    _takes(info, number, key, KEY, again=True)


def _srcu_module_coming(info: LoadInfo) -> None:
    """Check each `struct srcu_struct`: the kernel writes the pointer to its per-CPU memory into it, and reads its
    `struct srcu_usage` when the module is removed (kernel/rcu/srcutree.c)."""
    number = info.find_sec("___srcu_struct_ptrs")
    memory = Memory(info)
    for pointer in _follow(info, "___srcu_struct_ptrs"):
        _takes(info, number, pointer, HEAD, again=info.kernel.version < since.SRCU_USAGE)
        if pointer.section and info.kernel.version >= since.SRCU_USAGE and not info.is_set("DEBUG_LOCK_ALLOC"):
            shift = 24 if info.kernel.version >= since.SRCU_READERS else 16
            usage = memory.pointer(SectionOffset(pointer.section, pointer.offset + shift))
            if isinstance(usage, int):
                raise Undefined(
                    info.stage,
                    f"the srcu_struct at {memory.shown(SectionOffset(*pointer[:2]))} has its srcu_usage at {usage:#x}, "
                    "where that is read when the module is removed",
                    "declare it with DEFINE_SRCU() or DEFINE_STATIC_SRCU(), which make the srcu_usage, too",
                )


def _hold_module_trace_bprintk_format(info: LoadInfo) -> None:
    """Check the formats of trace_printk(). The kernel copies each format, and replaces the pointer to it by one to the
    copy. The pointer is NULL if the compiler does not know the format (kernel/trace/trace_printk.c)."""
    number = info.find_sec("__trace_printk_fmt")
    if not number:
        return
    found = pointers(info, number, info.machine.relocations.absolute)
    for offset in range(0, info.sechdrs[number].sh_size // 8 * 8, 8):
        if offset in found:
            _exists(info, number, found[offset])
            _is_written(info, number)


def _follow(info: LoadInfo, name: str) -> list[Pointer]:
    """The pointers in section `name`, which the kernel follows. Raises `Undefined` for one to invalid memory."""
    number = info.find_sec(name)
    if not number:
        return []
    found = [pointer for _, pointer in sites(info, number, 8, info.machine.relocations.absolute)]
    for pointer in found:
        _exists(info, number, pointer)
    return found


def _is_written(info: LoadInfo, number: int) -> None:
    """Raise `Undefined` if section `number` is not writable: the kernel changes its entries in place."""
    obstacle = not_writable(info, number)
    if obstacle and info.sechdrs[number].sh_size:
        raise Undefined(
            info.stage,
            f"{info.section_name(number)} is written to, and is {obstacle}",
            AS_BUILT,
        )


def _takes(info: LoadInfo, number: int, pointer: Pointer, size: int, *, again: bool = False) -> None:
    """Raise `Undefined` unless the kernel can write to the `size` bytes that an entry of section `number` points to,
    and can read them when the module is removed. `again`: it writes to them then, too."""
    _exists(info, number, pointer)
    if not pointer.section:
        return
    problem = ""
    obstacle = not_writable(info, pointer.section)
    later = (sealed if again else gone)(info, pointer.section)
    if (pointer.offset & ~3) + size > info.sechdrs[pointer.section].sh_size:
        problem = f"where {size} bytes are used, and end behind the section"
    elif obstacle:
        problem = f"which is written to, and is {obstacle}"
    elif later and is_removable(info):
        problem = f"which is {'written to' if again else 'read'} when the module is removed, and is {later}"
    if problem:
        place = f"{info.section_name(pointer.section)}+{pointer.offset & ~3:#x}"
        raise Undefined(
            info.stage,
            f"an entry of {info.section_name(number)} points to {place}, {problem}",
            "take const, __initdata and __ro_after_init from what the entry points to (a static key, an srcu_struct, a "
            "trace event); if the source has none of these, a tool has changed the file",
        )


def _is_null(info: LoadInfo, key: Pointer) -> bool:
    """Whether the key of a jump label is NULL. The kernel ignores such entries: it sorts them to the front, and NULL is
    its value for the key before the first entry."""
    return not key.section and info.values[key.symbol] is not None and not key.offset & ~3


def _exists(info: LoadInfo, number: int, pointer: Pointer) -> None:
    """Raise `Undefined` unless the pointer leads to a symbol of the kernel or another module, or into a section of the
    module that is kept in memory."""
    if not pointer.section:
        if info.values[pointer.symbol] is not None:
            raise Undefined(
                info.stage,
                f"an entry of {info.section_name(number)} points to the address {pointer.offset:#x}: "
                f"{info.symbol_name(pointer.symbol)!r} is not exported",
                "load the module that exports it before, or build for a kernel that does",
            )
        return
    if not (
        pointer.section < len(info.sechdrs) and 0 <= pointer.offset & ~3 < max(info.sechdrs[pointer.section].sh_size, 1)
    ):
        raise Undefined(
            info.stage,
            f"an entry of {info.section_name(number)} points to {info.symbol_name(pointer.symbol)!r}"
            f"{pointer.offset:+#x}, which is not within a section",
            AS_BUILT,
        )
    if not info.sechdrs[pointer.section].sh_flags & SHF_ALLOC:
        name = info.section_name(pointer.section)
        raise Undefined(
            info.stage,
            f"an entry of {info.section_name(number)} points to {name}, which is not kept in memory",
            AS_BUILT,
        )
