# SPDX-License-Identifier: GPL-2.0-only
"""A module file in words, for a terminal: what an author asks first, on one screen.

Lists are cut after a few rows, which the row after them says; `verbose` leaves them whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kbuildpy.info.devices import Match
from kbuildpy.info.memory import ACCESS, Block, ModuleMemory
from kbuildpy.info.report import ModuleInfo, ModuleParameter
from kbuildpy.info.symbols import Export, Import
from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.kernel.module_files import module_name
from kbuildpy.printable import printable
from kbuildpy.signing.describe import signed_by

_WIDTH = 16
"""The column that values begin in, as in modinfo's lines."""
_ROWS = 6
_PER_KIND = 3
_FOLD, _SHOWN = 6, 3

Row = tuple[str, str]
"""A label and a value; "" for the label of the row above."""


def as_text(info: ModuleInfo, *, verbose: bool = False) -> str:
    """What is known of a module besides modinfo's fields, every line printable."""
    rows = as_rows(info, verbose=verbose)
    return "".join(f"{label:{_WIDTH}}{printable(value)}".rstrip() + "\n" for label, value in rows)


def as_rows(info: ModuleInfo, *, verbose: bool = True) -> list[Row]:
    """The same as labels and values, not made printable."""
    rows: list[Row] = []
    for label, values in _parts(info, verbose=verbose):
        rows += [(label if number == 0 else "", value) for number, value in enumerate(values)]
    return rows


def folded(fields: str, *, whole: bool = False) -> str:
    """modinfo's lines for a terminal: printable, and of many lines of one field the first few unless it shall be
    `whole`."""
    groups: list[tuple[str, list[str]]] = []
    for line in fields.removesuffix("\n").split("\n"):
        tag = line.partition(":")[0]
        if groups and (line.startswith("\t") or tag == groups[-1][0]):
            groups[-1][1].append(line)
        else:
            groups.append((tag, [line]))
    shown = []
    for _, lines in groups:
        cut = len(lines) > _FOLD and not whole
        shown += lines[:_SHOWN] if cut else lines
        shown += [f"{'':{_WIDTH}}... and {len(lines) - _SHOWN} more lines: -v"] if cut else []
    return "".join(printable(line) + "\n" for line in shown)


def _parts(info: ModuleInfo, *, verbose: bool) -> Iterator[tuple[str, list[str]]]:
    yield "built for:", [f"{info.built_for or 'no kernel that it names'}{f' ({info.machine})' if info.machine else ''}"]
    if info.memory is not None:
        yield "memory:", list(_memory(info.memory, info.built_for, verbose=verbose))
    yield "parameters:", _cut([_parameter(item) for item in info.parameters] or ["none"], verbose=verbose)
    yield "exports:", _exports(info.exports, verbose=verbose)
    yield "imports:", list(_imports(info, verbose=verbose))
    messages = [f"{item.file}:{item.line} {item.function}() {_quoted(item.format)}" for item in info.debug_messages]
    yield "debug messages:", _counted(messages, verbose=verbose)
    points = [f"{item.system}:{item.name}" if item.system else item.name for item in info.tracepoints]
    yield "tracepoints:", _counted(points, verbose=verbose)
    yield "loaded for:", list(_matches(info.matches, verbose=verbose)) or ["nothing: it has no alias"]
    yield "signed by:", [_signature(info)]
    yield "BTF:", [_btf(info)]
    yield "needs:", _cut(list(_needs(info)) or ["nothing"], verbose=verbose)
    if info.unknown:
        yield "not known:", [f"{what}: {why}" for what, why in info.unknown]


def _memory(memory: ModuleMemory, built_for: str, *, verbose: bool) -> Iterator[str]:
    by = f"as {memory.kernel} lays it out"
    if memory.size is None:
        by += ", taken to have STRICT_MODULE_RWX, KALLSYMS_ALL and MODULE_UNLOAD: its configuration is not known"
    elif memory.kernel != built_for:
        by += ", which is not the one that it was built for"
    yield f"{memory.kept} bytes stay, {memory.freed} are freed when init is over ({by})"
    for block in memory.blocks:
        yield f"{'freed' if block.is_freed else 'stays'}  {block.kind:13} {block.size:>9}: {_block(block)}"
        if verbose:
            for section in block.sections:
                in_file = "" if section.is_in_file else ", zeros"
                yield f"         +{section.offset:<#8x} {section.size:>8}  {section.name} ({section.access}{in_file})"
    if memory.per_cpu:
        yield f"stays  {'per CPU':13} {memory.per_cpu:>9}: for each processor"
    yield f"file   {'not loaded':13} {memory.not_loaded:>9}: debug information, relocations and the like"


def _block(block: Block) -> str:
    """Bytes by what may be done with them."""
    sums = {access: sum(item.size for item in block.sections if item.access == access) for access in ACCESS}
    texts = [f"{access} {size}" for access, size in sums.items() if size]
    rest = "symbols and padding" if block.has_symbols else "padding"
    return ", ".join([*texts, f"{rest} {block.size - block.filled}"])


def _parameter(item: ModuleParameter) -> str:
    mode = {None: "", 0: ", not in /sys"}.get(item.mode, f", {item.mode:04o}" if item.mode else "")
    kind = item.type or "type not stated"
    return f"{item.name} ({kind}{mode})" + (f": {item.description}" if item.description else "")


def _exports(exports: Sequence[Export], *, verbose: bool) -> list[str]:
    rows = []
    for item in exports:
        words = [f"0x{item.crc:08x}"] if item.crc is not None else []
        words += ["GPL only"] if item.gpl_only else []
        words += [f"namespace {item.namespace}"] if item.namespace else []
        rows.append(item.name + _in_brackets(words))
    return _counted(rows, verbose=verbose)


def _imports(info: ModuleInfo, *, verbose: bool) -> Iterator[str]:
    if not info.imports:
        yield "none"
        return
    if info.kernel is None:
        yield f"{len(info.imports)} (with -k KERNEL: who exports them there)"
    else:
        owners = Counter(item.owner for item in info.imports if item.owner is not None)
        by = ", ".join(f"{count} of {owner or 'nobody'}" for owner, count in owners.most_common())
        yield f"{len(info.imports)}, in {info.kernel}{f': {by}' if by else ', whose exports are not known'}"
    # (modules of one's own are not known here, but depends= names them)
    known = {item.owner for item in info.imports}
    others = [name for name in info.needs.modules if module_name(name) not in known]
    problems = [text for item in info.imports if (text := _problem(item, info, others))]
    yield from _cut(problems, verbose=verbose)
    for item in info.imports if verbose else ():
        crc = "" if item.crc is None else f" 0x{item.crc:08x}"
        words = [item.owner] if item.owner else []
        words += ["GPL only"] if item.gpl_only else []
        words += [f"namespace {item.namespace}"] if item.namespace else []
        yield item.name + crc + _in_brackets(words)


def _problem(item: Import, info: ModuleInfo, others: Sequence[str]) -> str:
    """What stands in the way of an import in the kernel that was asked; `others` are modules that may export it."""
    if item.owner == "" and not item.is_weak:
        of = f"; it may be of {', '.join(others)}, which the module depends on" if others else ""
        return f"{item.name}: not exported by {info.kernel} and its modules{of}"
    if item.differs:
        return f"{item.name}: version 0x{item.crc:08x}, and {info.kernel} has 0x{item.kernel_crc:08x}"
    if item.namespace and item.namespace not in info.needs.namespaces:
        return f"{item.name}: is in the namespace {item.namespace}, which the module does not import"
    if item.gpl_only and next(iter(info.values("license")), "") not in GPL_COMPATIBLE:
        return f"{item.name}: is for GPL-compatible modules only"
    return ""


def _matches(matches: Sequence[Match], *, verbose: bool) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for match in matches:
        kinds.setdefault(match.kind, []).append(match.words)
    for kind, words in kinds.items():
        shown = words if verbose or len(words) <= _PER_KIND + 1 else words[:_PER_KIND]
        lead = kind if kind.endswith("/") else f"{kind} "
        yield from (f"{lead}{text}" for text in shown)
        if len(shown) < len(words):
            yield f"... and {len(words) - len(shown)} more of {kind}: -v"


def _signature(info: ModuleInfo) -> str:
    state = info.signature
    if state is None:
        return "nobody"
    if state.hash is None:
        return f"a signature that kernels refuse: {state.reason}"
    serial = f", serial {state.serial:x}" if state.serial is not None else ""
    by = signed_by(state) if state.certificate or state.issuer else "a key that is named by its identifier"
    return f"{by} ({state.algorithm}, {state.hash}{serial})"


def _btf(info: ModuleInfo) -> str:
    if info.btf is None:
        return "none"
    if not info.btf.is_sound:
        return f"{info.btf.size} bytes that are no type information"
    if info.btf.base_size:
        return (
            f"{info.btf.size} bytes, with {info.btf.base_size} bytes of the kernel's types to be found again in others"
        )
    return f"{info.btf.size} bytes, on top of the types of {info.built_for or 'the kernel'} as it was built"


def _needs(info: ModuleInfo) -> Iterator[str]:
    needs = info.needs
    for what, names in (
        ("", needs.modules),
        ("before it, where there is one: ", needs.before),
        ("after it, where there is one: ", needs.after),
        ("it may ask for ", needs.weak),
        ("firmware ", needs.firmware),
        ("namespaces ", needs.namespaces),
    ):
        if names:
            yield what + ", ".join(names)


def _counted(rows: list[str], *, verbose: bool) -> list[str]:
    """How many, and the rows."""
    if len(rows) <= 1:
        return rows or ["none"]
    return [str(len(rows)), *_cut(rows, verbose=verbose)]


def _cut(rows: list[str], *, verbose: bool) -> list[str]:
    if verbose or len(rows) <= _ROWS:
        return rows
    return [*rows[: _ROWS - 1], f"... and {len(rows) - _ROWS + 1} more: -v"]


def _in_brackets(words: list[str]) -> str:
    return f" ({', '.join(words)})" if words else ""


def _quoted(text: str) -> str:
    return f'"{text.removesuffix(chr(10))}"'
