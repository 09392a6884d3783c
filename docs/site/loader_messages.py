# SPDX-License-Identifier: GPL-2.0-only
"""Every message of the loader check, as its code has them: errno, line of the kernel's log, reason, hint, function.

A message is a place in `kbuildpy/loader/` that refuses a module, calls its loading undefined, or logs a line.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from docs.site.said_lines import PARTS, SAID_LINES
from docs.site.texts import RECORDS, Alternatives, Reader, SourceFile, calls_of, read_code

PACKAGE = "kbuildpy.loader"
REFUSED, SAID, UNDEFINED = "refused", "said", "undefined"

_ERRNO = re.compile(r"E[A-Z0-9]+")
_VARIES = re.compile(r"<[^<>]*>|'unspecified'")
_BTF = f"{PACKAGE}.btf."
_BTF_END = "failed to validate module [<module>] BTF: -<errno>"
_QUERY_PARTS = ("dyndbg: tokenize failed", "dyndbg: flags parse failed", "dyndbg: query parse failed")
"""One of these follows a complaint about a query of dynamic debug messages."""
_MACHINE_FUNCTIONS = (
    "apply_relocate_add",
    "apply_relocate",
    "module_finalize",
    "trace_sites",
    "module_frob_arch_sections",
    "elf_check_arch",
)
"""What each machine has a function of its own for."""
_Make = Callable[..., "Message"]
_Text = Callable[..., Alternatives]
_VERIFIER = ("log", "log_type", "log_basic", "_log_member", "_log_variable", "verifier_log", "_warned")
"""Functions of the verifier of types that log something."""
_NOT_MESSAGES = {
    (f"{PACKAGE}.load_info", "refuse"),
    (f"{PACKAGE}.load_info", "warn"),
    (f"{PACKAGE}.btf.env", "log"),
    (f"{PACKAGE}.btf.env", "log_type"),
    (f"{PACKAGE}.btf.env", "log_basic"),
    (f"{PACKAGE}.btf.invalid", "verifier_log"),
    (f"{PACKAGE}.btf.check_meta", "_log_member"),
    (f"{PACKAGE}.btf.check_meta", "_log_variable"),
    (f"{PACKAGE}.btf.relocate", "_warned"),
    (f"{PACKAGE}.parameters.dyndbg", "exec_queries"),
    (f"{PACKAGE}.parameters.param_values", "_complain"),
}
"""Functions that give a message its form: their callers have the text."""


@dataclass(frozen=True)
class Message:
    """A message of the loader check. Each text may have several forms; words in angle brackets vary."""

    kind: str
    """REFUSED, SAID (a line of the log, and the loading goes on), or UNDEFINED."""
    errnos: tuple[str, ...]
    lines: tuple[str, ...]
    """The line of the kernel's log, in its forms; () where it logs nothing."""
    reasons: tuple[str, ...]
    hints: tuple[str, ...]
    stages: tuple[str, ...]
    """The functions of the kernel in which it arises."""
    file: str
    """The file of the code, below the root of the project."""
    number: int
    """The line there."""
    also: tuple[str, ...] = ()
    """The lines that follow it."""

    @property
    def logged(self) -> tuple[str, ...]:
        """All lines that belong to it."""
        return (*self.lines, *self.also)

    @property
    def title(self) -> str:
        """What stands for it in a list: the line of the log, else the reason."""
        return next(iter((*self.lines, *self.reasons)))


@functools.cache
def pattern_of(text: str) -> re.Pattern[str]:
    """The texts that `text` stands for, with anything in place of words in angle brackets."""
    parts = _VARIES.split(text)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def all_messages(root: Path) -> list[Message]:
    """All messages, in the order of the files and lines that have them."""
    files = read_code(root, PACKAGE)
    reader = Reader(files)
    stages = _Stages(files)
    found: list[Message] = []
    for file in files.values():
        for call in sorted(_calls(file), key=lambda call: call.lineno):
            for message in _messages(reader, stages, root, file, call):
                if message not in found:
                    found.append(message)
    refused = {(item.file, _bare(line)) for item in found if item.kind == REFUSED for line in item.logged}
    # (a line that belongs to a refusal is no message of its own)
    own = [
        item
        for item in found
        if item.kind != SAID or any((item.file, _bare(line)) not in refused for line in item.lines)
    ]
    return _with_meanings(own)


def _bare(line: str) -> str:
    return _VARIES.sub("<>", line)


def _with_meanings(messages: list[Message]) -> list[Message]:
    """`messages`, those that refuse nothing with what they mean, and those that only follow another one with that."""
    heads = {key: message for key in SAID_LINES for message in messages if message.kind == SAID and _has(message, key)}
    followers = {
        part: [message for message in messages if message.kind == SAID and _has(message, part)] for part in PARTS
    }
    found = []
    for message in messages:
        if any(message in followers[part] and message != heads.get(PARTS[part]) for part in PARTS):
            continue
        key = next((key for key in SAID_LINES if heads.get(key) == message), "")
        if key:
            parts = [line for part in PARTS if PARTS[part] == key for item in followers[part] for line in item.logged]
            also = tuple(dict.fromkeys(line for line in (*message.also, *parts) if line not in message.lines))
            meaning = SAID_LINES[key]
            message = replace(message, reasons=(meaning.why,), hints=(meaning.to_do,), also=also)
        found.append(message)
    return found


def _has(message: Message, part: str) -> bool:
    return any(part in line for line in message.logged)


def message_calls(file: SourceFile) -> list[ast.Call]:
    """The calls of a file that each are a message."""
    return list(_calls(file))


def _calls(file: SourceFile) -> Iterator[ast.Call]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and _form(file, node):
            owner = file.owner.get(node)
            if owner is None or (file.name, owner.name) not in _NOT_MESSAGES:
                yield node


def _form(file: SourceFile, call: ast.Call) -> str:
    """Which kind of call it is, "" for one that is no message."""
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    owner = func.value if isinstance(func, ast.Attribute) else None
    if file.name.startswith(_BTF) and name in _VERIFIER:
        return name
    if name == "InvalidBtf":
        return name
    if name in ("_complain", "_Wrong") and file.name.startswith(f"{PACKAGE}.parameters."):
        return name
    if owner is None:
        return name if name in ("Refusal", "Undefined", "Unresolvable", "Unloading") else ""
    if name in ("refuse", "log", "warn") and _last_name(owner) in ("info", "self"):
        return name
    if name == "add" and _last_name(owner) == "problems":
        return name
    return ""


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _messages(reader: Reader, stages: _Stages, root: Path, file: SourceFile, call: ast.Call) -> Iterator[Message]:
    """The messages of a call: one for each value of a class of `RECORDS`, and for each row of a table of texts, that it
    can be made with."""
    function = file.owner.get(call)
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} if function else set()
    given = set(function.args.args) if function else set()
    names |= {item.arg for item in given}
    records = sorted(names & RECORDS.keys())
    for made in reader.makers(RECORDS[records[0]]) if records else (None,):
        one = reader.made_by(made, None)
        tables: dict[str, list[str]] = {}
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            tables.update(one.table_keys(file, argument))
        if function is None or not tables:
            yield from _made_messages(one, stages, root, file, call)
            continue
        [(name, keys), *_] = tables.items()
        for key in keys:
            yield from _made_messages(reader.made_by(made, (function, name, key)), stages, root, file, call)


def _made_messages(reader: Reader, stages: _Stages, root: Path, file: SourceFile, call: ast.Call) -> Iterator[Message]:
    form = _form(file, call)
    owner = file.owner.get(call)
    place = (str(file.path.relative_to(root)), call.lineno)
    functions = stages.of(file, owner)

    def message(
        kind: str,
        errno: Alternatives = (),
        line: Alternatives = (),
        reason: Alternatives = (),
        hint: Alternatives = (),
        also: Alternatives = (),
    ) -> Message:
        errnos = tuple(sorted({name for name in errno if name and _ERRNO.fullmatch(name)}))
        return Message(kind, errnos, _told(line), _told(reason), _told(hint), functions, *place, _told(also))

    def text(at: int, name: str = "") -> Alternatives:
        given = next((item.value for item in call.keywords if item.arg == name), None)
        if given is None and at < len(call.args):
            given = call.args[at]
        return reader.texts(file, given) if given is not None and not isinstance(given, ast.Starred) else ()

    if form == "refuse":
        yield message(REFUSED, text(0, "errno"), text(1, "line"), text(2, "reason"), text(3, "hint"))
    elif form == "Refusal" and not isinstance(call.args[-1], ast.Starred):
        yield message(REFUSED, text(1), text(2), text(3), text(4, "hint"))
    elif form == "add" and not isinstance(call.args[0], ast.Attribute):
        yield message(REFUSED, text(0), text(1), text(2), text(3))
    elif form == "Unresolvable":
        yield from _unresolvable(reader, file, call, message, text)
    elif form == "Undefined":
        yield message(UNDEFINED, reason=text(1, "reason"), hint=text(2, "hint"))
    elif form == "log" and not file.name.startswith(_BTF):
        if text(0) != ("<line>",):
            yield message(SAID, line=text(0))
    elif form == "warn":
        pairs = [(source, function) for source in text(0) for function in text(1)] or list(_warnings(reader))
        where = tuple(f"WARNING: <...> at {source}:<line> {function}+<offset>" for source, function in pairs)
        lines = tuple(line for line in text(2, "message") if line)
        yield message(SAID, line=lines or where, also=where if lines else ())
    elif form == "_complain":
        yield message(SAID, line=tuple(f"<name>: {line}" for line in text(2)))
    elif form == "_Wrong":
        yield message(SAID, line=tuple(f"dyndbg: {line}" for line in text(0)), also=_QUERY_PARTS)
    elif form == "Unloading":
        if text(0) != (None,):
            yield replace(message(REFUSED, text(0), reason=text(1), hint=text(5, "hint")), stages=("delete_module",))
    elif file.name.startswith(_BTF):
        yield from _of_types(reader, file, call, form, message, text)


def _unresolvable(reader: Reader, file: SourceFile, call: ast.Call, message: _Make, text: _Text) -> Iterator[Message]:
    """A symbol that is not found; the line is that of simplify_symbols()."""
    line: Alternatives = ("<module>: Unknown symbol <name> (err -<errno>)",)
    given = call.args[1]
    by_value = any(isinstance(node, ast.Name) and node.id in RECORDS for node in ast.walk(call))
    before = reader.made_field("line") if by_value else ()
    if before and before != (None,):
        # A line about the reason comes first.
        yield message(REFUSED, text(0), before, text(1), text(2), line)
        return
    if isinstance(given, ast.Starred):
        for other, value in reader.returned(file, given.value) if isinstance(given.value, ast.Call) else ():
            if isinstance(value, ast.Tuple):
                reason, hint = (reader.texts(other, item) for item in value.elts)
                yield message(REFUSED, text(0), line, reason, hint)
        return
    yield message(REFUSED, text(0), line, text(1), text(2))


def _of_types(
    reader: Reader, file: SourceFile, call: ast.Call, form: str, message: _Make, text: _Text
) -> Iterator[Message]:
    """A complaint of the kernel's verifier of BTF, which ends in one line of btf_module_notify()."""
    hints = reader.files[f"{PACKAGE}.hints"]
    hint = reader.texts(hints, hints.constants["TYPES"])
    if form == "InvalidBtf":
        yield message(REFUSED, text(0), (_BTF_END,), text(2), hint)
        return
    if form == "_warned":
        for line in text(1):
            yield message(REFUSED, text(0), (line,), tuple(f"{line}: {why}" for why in text(2)), hint, (_BTF_END,))
        return
    if form == "verifier_log":
        errno, whys = text(0), text(len(call.args), "why")
        parts = [part for part in call.args[1:] if not (isinstance(part, ast.Constant) and not str(part.value).strip())]
        said = reader.texts(file, parts[-1])
    else:
        errno = text(len(call.args), "errno") or ("EINVAL",)
        *_, last, why = call.args
        said, whys = reader.texts(file, last), reader.texts(file, why)
    for item in (item.strip() for item in said if item):
        reasons = tuple(f"{item}: {why}" for why in whys)
        yield message(REFUSED, errno, (f"BPF: {item}",), reasons, hint, (_BTF_END,))


def _warnings(reader: Reader) -> Iterator[tuple[str, str]]:
    """File and function of the warnings that machines have of their own for places to trace."""
    for file in reader.files.values():
        for call in calls_of(file, "TraceSites"):
            for argument in call.args[2:3]:
                if isinstance(argument, ast.Tuple):
                    source, function = (str(reader.texts(file, item)[0]) for item in argument.elts)
                    yield source, function


def _told(texts: Alternatives) -> tuple[str, ...]:
    """Without None, and without texts that differ in words that vary alone, or that another one goes on."""
    found: dict[str, str] = {}
    told = [text for text in texts if text]
    for text in told:
        if not any(other != text and text.endswith(" ") and other.startswith(text) for other in told):
            found.setdefault(_VARIES.sub("<>", text), text.replace("<val>", "<value>"))
    return tuple(found.values())


class _Stages:
    """Which functions of the kernel the loader's functions stand for: the name of the stage in which each is called."""

    def __init__(self, files: dict[str, SourceFile]) -> None:
        self._files = files
        self._methods = _methods(files)
        self._machines = _machine_functions(files)
        self._found: dict[tuple[str, str], list[str]] = {}
        self._seen: set[tuple[str, str, str]] = set()
        load_module = files[f"{PACKAGE}.load_module"]
        for name in ("_LATE", "_EARLY", "AFTER_SYMBOLS"):
            table = load_module.constants[name]
            assert isinstance(table, ast.Tuple)
            for row in table.elts:
                self._begin(load_module, row)
        self._begin(load_module, load_module.constants["SYMBOLS"])
        first = ast.parse('("module_decompress", module_decompress)', mode="eval").body
        self._begin(load_module, first)

    def of(self, file: SourceFile, function: ast.FunctionDef | None) -> tuple[str, ...]:
        """The kernel's functions that a function of a file stands for; () where that is not known."""
        return tuple(self._found.get((file.name, function.name), ())) if function else ()

    def _begin(self, file: SourceFile, row: ast.expr) -> None:
        assert isinstance(row, ast.Tuple)
        stage, function = row.elts
        assert isinstance(stage, ast.Constant)
        for other, name in self._meant(file, function):
            self._walk(other, name, str(stage.value))

    def _walk(self, file: SourceFile, name: str, stage: str) -> str:
        """Go through a function in the order of its lines; the stage behind it."""
        key = (file.name, name)
        if (*key, stage) in self._seen:
            return stage
        self._seen.add((*key, stage))
        function = file.functions[name]
        current = stage
        nodes = [node for node in ast.walk(function) if isinstance(node, ast.stmt | ast.expr)]
        for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
            if isinstance(node, ast.Assign) and _last_name(node.targets[0]) == "stage":
                if isinstance(node.value, ast.Constant):
                    current = str(node.value.value)
            elif isinstance(node, ast.Call) and _form(file, node):
                self._note(key, current)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                for other, called in self._meant(file, node):
                    if (other.name, called) != key:
                        after = self._walk(other, called, current)
                        current = after if other.name.startswith(f"{PACKAGE}.stages") else current
        return current

    def _note(self, key: tuple[str, str], stage: str) -> None:
        stages = self._found.setdefault(key, [])
        if stage not in stages:
            stages.append(stage)

    def _meant(self, file: SourceFile, node: ast.expr) -> list[tuple[SourceFile, str]]:
        """The functions that a name or an attribute means."""
        if isinstance(node, ast.Attribute):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id in file.imports:
                module = ".".join(file.imports[owner.id])
                other = self._files.get(module)
                return [(other, node.attr)] if other and node.attr in other.functions else []
            return [*self._machines.get(node.attr, ()), *self._methods.get(node.attr, ())]
        if not isinstance(node, ast.Name):
            return []
        if node.id in file.functions:
            return [(file, node.id)]
        if node.id in file.constants:
            names = (part for part in ast.walk(file.constants[node.id]) if isinstance(part, ast.Name))
            return [(file, part.id) for part in names if part.id in file.functions]
        if node.id in file.imports:
            module, name = file.imports[node.id]
            other = self._files.get(module)
            if other and name in other.functions:
                return [(other, name)]
        return []


def _methods(files: dict[str, SourceFile]) -> dict[str, list[tuple[SourceFile, str]]]:
    """The methods of all classes, by name."""
    found: dict[str, list[tuple[SourceFile, str]]] = {}
    for file in files.values():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.FunctionDef) and not item.name.startswith("__"):
                        found.setdefault(item.name, []).append((file, item.name))
    return {name: places for name, places in found.items() if len(places) == 1}


def _machine_functions(files: dict[str, SourceFile]) -> dict[str, list[tuple[SourceFile, str]]]:
    """The functions of all machines, by the names of the fields that hold them."""
    found: dict[str, list[tuple[SourceFile, str]]] = {}
    for file in files.values():
        for call in (node for node in ast.walk(file.tree) if isinstance(node, ast.Call)):
            for keyword in call.keywords:
                value = keyword.value
                if keyword.arg in _MACHINE_FUNCTIONS and isinstance(value, ast.Name):
                    module, name = file.imports.get(value.id, (file.name, value.id))
                    other = files.get(module)
                    if other and name in other.functions:
                        # (32 bits have relocations without addends, and a function for those)
                        field = keyword.arg.replace("apply_relocate_add", "apply_relocate")
                        for called in (field, "apply_relocate_add") if field == "apply_relocate" else (field,):
                            found.setdefault(called, []).append((other, name))
    return found
