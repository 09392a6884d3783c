# SPDX-License-Identifier: GPL-2.0-only
"""The texts that an expression of the loader's code can have, read without running it.

A value that is only known when a module is checked becomes a word in angle brackets: `f"{info.mod_name}: no flags"` is
`<module>: no flags`. Where the code chooses between texts, each of them is a result.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_MOST = 24
"""Alternatives of one expression; what has more is a word in angle brackets."""
_MOST_VALUES = 5
"""Values of a parameter, likewise."""
_PLACEHOLDER = re.compile(r"(?:<[^<>]*>)+")
_WORDS = {
    "mod_name": "module",
    "shown_name": "module",
    "section_name": "section",
    "symbol_name": "symbol",
    "errno_number": "errno",
    "shndx": "section",
    "st_shndx": "section",
    "ET_REL": "1",
}
"""Names in the code -> the word for a reader."""
_WRAPPERS = ("as_text", "printable", "signed", "hex", "str", "repr", "shortened", "sorted", "join", "strip")
"""Functions whose result is called as their argument is."""
RECORDS = {"wrong": "Wrong", "fault": "Fault"}
"""Names of values that say why something is refused -> their class. Each call of the class makes another message."""
Alternatives = tuple[str | None, ...]


@dataclass(frozen=True)
class SourceFile:
    """A file of the code that is read."""

    name: str
    """The name of the module."""
    path: Path
    tree: ast.Module
    functions: dict[str, ast.FunctionDef]
    """Its functions and methods by name."""
    constants: dict[str, ast.expr]
    """What is assigned at its top."""
    imports: dict[str, tuple[str, str]]
    """Names that are imported from modules, with the module and the name there."""
    calls: dict[str, list[ast.Call]]
    """Its calls, by the name of the function or method."""
    classes: dict[str, list[str]]
    """Its classes by name, with the names of their fields."""
    owner: dict[ast.AST, ast.FunctionDef] = field(default_factory=dict)
    """The innermost function of each node."""


def read_code(root: Path, package: str) -> dict[str, SourceFile]:
    """The files of `package` below `root`, by the names of their modules."""
    found = {}
    for path in sorted((root / package.replace(".", "/")).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = _read(name, path)
    return found


def _read(name: str, path: Path) -> SourceFile:
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    constants, imports = {}, {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            constants[node.target.id] = node.value
    for part in nodes:
        if isinstance(part, ast.ImportFrom) and part.module:
            imports.update({alias.asname or alias.name: (part.module, alias.name) for alias in part.names})
    calls: dict[str, list[ast.Call]] = {}
    for part in nodes:
        if isinstance(part, ast.Call):
            calls.setdefault(_called_name(part), []).append(part)
    classes = {node.name: _field_names(node) for node in nodes if isinstance(node, ast.ClassDef)}
    file = SourceFile(name, path, tree, functions, constants, imports, calls, classes)
    # (a nested function comes later, and is the innermost)
    for function in functions.values():
        file.owner.update(dict.fromkeys(ast.walk(function), function))
    return file


class Reader:
    """Evaluates expressions of `files`, as far as the code alone says what they are."""

    def __init__(self, files: dict[str, SourceFile]) -> None:
        self.files = files
        self._open: list[ast.AST] = []
        """What is being evaluated: an expression that leads to itself is not known."""
        self._called: list[tuple[ast.FunctionDef, SourceFile, ast.Call]] = []
        """The calls that are being followed: each with the called function, and the file of the call."""
        self._made: tuple[SourceFile, ast.Call] | None = None
        """Which call made the value of a class of `RECORDS` that is looked at."""
        self._key: tuple[ast.FunctionDef, str, str] | None = None
        """The text that a name of a function has: a key of a table."""

    def texts(self, file: SourceFile, node: ast.expr) -> Alternatives:
        """What `node` can be, None for None; a word in angle brackets where that is not known."""
        found = self._known(file, node)
        return found if found is not None else (placeholder(node),)

    def made_by(self, made: tuple[SourceFile, ast.Call] | None, key: tuple[ast.FunctionDef, str, str] | None) -> Reader:
        """A reader for which a value of a class of `RECORDS` was made by one call, and a name has one text."""
        other = Reader(self.files)
        other._made, other._key = made, key
        return other

    def made_field(self, name: str) -> Alternatives:
        """A field of the value that is looked at; () where there is none."""
        return self.field(*self._made, name) if self._made is not None else ()

    def makers(self, name: str) -> list[tuple[SourceFile, ast.Call]]:
        """The calls that make values of a class, each with its file."""
        return [(file, call) for file in self.files.values() for call in calls_of(file, name) if call.args]

    def table_keys(self, file: SourceFile, node: ast.expr) -> dict[str, list[str]]:
        """The names that an expression looks up in tables of texts by text, each with the keys there, where the name
        has no single text by itself."""
        found: dict[str, list[str]] = {}
        for part in ast.walk(node):
            if not (isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Name)):
                continue
            table = file.constants.get(part.value.id) if isinstance(part.value, ast.Name) else None
            keys = (
                [key.value for key in table.keys if isinstance(key, ast.Constant)]
                if isinstance(table, ast.Dict)
                else []
            )
            if keys and all(isinstance(key, str) for key in keys) and self._single(file, part.slice) is None:
                found[part.slice.id] = [str(key) for key in keys]
        return found

    def _single(self, file: SourceFile, node: ast.expr) -> str | None:
        """What an expression is, if it is one text."""
        found = self._known(file, node)
        return found[0] if found and len(found) == 1 else None

    def _known(self, file: SourceFile, node: ast.expr) -> Alternatives | None:
        """The same; None where it is not known."""
        if node in self._open:
            return None
        self._open.append(node)
        try:
            found = self._evaluate(file, node)
        finally:
            self._open.pop()
        if found is None:
            return None
        unique = tuple(dict.fromkeys(found))
        return unique if 0 < len(unique) <= _MOST else None

    def _evaluate(self, file: SourceFile, node: ast.expr) -> Alternatives | None:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bytes):
                return (node.value.decode("latin-1"),)
            return (None,) if node.value is None else (str(node.value),) if isinstance(node.value, str | int) else None
        if isinstance(node, ast.JoinedStr):
            return _joined([self._piece(file, part) for part in node.values])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            shown = iter([self._single(file, value) or placeholder(value) for value in values])
            formats = self._known(file, node.left) or ()
            return tuple(re.sub(r"%[scd]", lambda _: next(shown), text or "") for text in formats) or None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift | ast.Mult):
            return self._number(file, node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            if any(isinstance(side, ast.Constant) and isinstance(side.value, int) for side in (node.left, node.right)):
                return None
            left, right = self._known(file, node.left), self._known(file, node.right)
            if left is None and right is None:
                return None
            return _joined([left or (placeholder(node.left),), right or (placeholder(node.right),)])
        if isinstance(node, ast.IfExp):
            chosen = self._chosen(file, node)
            return self._either(file, [node.body, node.orelse]) if chosen is None else self._known(file, chosen)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            found = self._either(file, node.values)
            # (`x or y`: an empty x is y)
            return found and tuple(text for text in found if text)
        if isinstance(node, ast.Name):
            return self._name(file, node)
        if isinstance(node, ast.Subscript):
            return self._of_table(file, node.value, node.slice)
        if isinstance(node, ast.Call):
            return self._call(file, node)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in RECORDS:
            made = self.makers(RECORDS[node.value.id])
            chosen_ones = [self._made] if self._made in made else made
            return tuple(text for maker in chosen_ones if maker for text in self.field(*maker, node.attr)) or None
        return None

    def field(self, file: SourceFile, call: ast.Call, name: str) -> Alternatives:
        """What a field of the value is that `call` makes."""
        kind = _called_name(call)
        fields = next((other.classes[kind] for other in self.files.values() if kind in other.classes), [])
        given = next((item.value for item in call.keywords if item.arg == name), None)
        if given is None and name in fields and fields.index(name) < len(call.args):
            given = call.args[fields.index(name)]
        return self.texts(file, given) if given is not None else ()

    def _chosen(self, file: SourceFile, node: ast.IfExp) -> ast.expr | None:
        """The branch of `A if B == C else D` that is taken; None where that is not known."""
        test = node.test
        if isinstance(test, ast.Attribute) and self._made is not None:
            truth = self._single(file, test)
            return None if truth is None else node.body if truth not in ("", "False") else node.orelse
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            return None
        left, right = self._single(file, test.left), self._single(file, test.comparators[0])
        if left is None or right is None or "<" in left + right:
            return None
        return node.body if left == right else node.orelse

    def _number(self, file: SourceFile, node: ast.BinOp) -> Alternatives | None:
        """A product or a shift of known numbers."""
        left, right = self._single(file, node.left), self._single(file, node.right)
        if left is None or right is None or not (left.isdigit() and right.isdigit()):
            return None
        return (str(int(left) * int(right) if isinstance(node.op, ast.Mult) else int(left) << int(right)),)

    def _piece(self, file: SourceFile, node: ast.expr) -> Alternatives:
        """A part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return self.texts(file, node)
        found = self._known(file, node.value)
        quoted = node.conversion == ord("r")
        numbers = found is not None and len(found) > 1 and any(text is not None and text.isdigit() for text in found)
        if found is None or None in found or numbers:
            found = (placeholder(node.value),)
        return tuple(f"'{text}'" for text in found) if quoted else found

    def _either(self, file: SourceFile, nodes: Iterable[ast.expr]) -> Alternatives | None:
        found = [self._known(file, node) for node in nodes]
        if all(item is None for item in found):
            return None
        nodes_found = zip(nodes, found, strict=True)
        return tuple(
            text for node, item in nodes_found for text in (item if item is not None else (placeholder(node),))
        )

    def _name(self, file: SourceFile, node: ast.Name) -> Alternatives | None:
        function = file.owner.get(node)
        if self._key is not None and function is self._key[0] and node.id == self._key[1]:
            return (self._key[2],)
        if function is not None:
            assigned = _assigned(function, node)
            if assigned:
                found = self._either(file, [value for value, _ in assigned])
                added = [value for value, is_added in assigned if is_added]
                if found is None or not added:
                    return found
                plain = [value for value, is_added in assigned if not is_added]
                first = self._either(file, plain) or ()
                return (*first, *(f"{one}{two}" for one in first for two in self._either(file, added) or ()))
            looped = [value for value in _loops_over(function, node.id) if isinstance(value, ast.Tuple | ast.List)]
            if looped:
                return self._either(file, [item for value in looped for item in value.elts])
            if node.id in _local_names(function):
                return None
            if node.id in _parameters(function):
                return self._argument(file, function, node.id)
        if node.id in file.constants:
            return self._known(file, file.constants[node.id])
        if node.id in file.imports:
            module, name = file.imports[node.id]
            other = self.files.get(module)
            if other is not None and name in other.constants:
                return self._known(other, other.constants[name])
        return None

    def _argument(self, file: SourceFile, function: ast.FunctionDef, name: str) -> Alternatives | None:
        """A parameter, by the call that is being followed, else by all calls of the function."""
        for at in range(len(self._called) - 1, -1, -1):
            called, other, call = self._called[at]
            if called is function:
                value = argument(function, call, name)
                if value is None:
                    return None
                inner, self._called = self._called, self._called[:at]
                try:
                    return self._known(other if value in other.owner or other is file else file, value)
                finally:
                    self._called = inner
        found: list[str | None] = []
        for other in self.files.values():
            if other is not file and other.imports.get(function.name) != (file.name, function.name):
                continue
            for call in calls_of(other, function.name):
                value = argument(function, call, name)
                if value is None:
                    return None
                # (a default is an expression of the function's own file)
                found += self.texts(other if value in other.owner or other is file else file, value)
        # (a word stands for what has many values, or any)
        anything = any(text is not None and _PLACEHOLDER.fullmatch(text) for text in found)
        return tuple(found) if 0 < len(set(found)) <= _MOST_VALUES and not anything else None

    def _of_table(self, file: SourceFile, node: ast.expr, key: ast.expr) -> Alternatives | None:
        """The texts in a table at the top of a file: that of `key`, all where the key is not known."""
        if not isinstance(node, ast.Name) or node.id not in file.constants:
            return None
        table = file.constants[node.id]
        if not isinstance(table, ast.Dict):
            return None
        text = self._single(file, key)
        rows = [
            value
            for known, value in zip(table.keys, table.values, strict=True)
            if isinstance(known, ast.Constant) and known.value == text
        ]
        return self._either(file, rows or table.values)

    def _call(self, file: SourceFile, node: ast.Call) -> Alternatives | None:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "get":
                found = self._of_table(file, node.func.value, node.args[0])
                default = self._known(file, node.args[1]) if found and len(node.args) > 1 else ()
                return (*found, *(default or ())) if found else None
            # What is logged is what is given.
            return self._known(file, node.args[0]) if node.func.attr == "log" and node.args else None
        if _called_name(node) in _WRAPPERS:
            return None
        returned = list(self.returned(file, node))
        values = [value for _, value in returned]
        if not values or any(isinstance(value, ast.Tuple) for value in values):
            return None
        function = returned[0][0].owner[values[0]]
        self._called.append((function, file, node))
        try:
            each = [self._known(other, value) for other, value in returned]
        finally:
            self._called.pop()
        known = [text for item in each if item is not None for text in item]
        return tuple(known) if known and None not in each else None

    def returned(self, file: SourceFile, node: ast.Call) -> Iterator[tuple[SourceFile, ast.expr]]:
        """What a called function of the code returns, as expressions, each with its file."""
        if not isinstance(node.func, ast.Name):
            return
        other, name = file, node.func.id
        if name not in file.functions and name in file.imports:
            module, name = file.imports[name]
            if module not in self.files:
                return
            other = self.files[module]
        function = other.functions.get(name)
        for part in ast.walk(function) if function else ():
            if isinstance(part, ast.Return) and part.value is not None:
                yield other, part.value


def placeholder(node: ast.expr) -> str:
    """A word in angle brackets for a value that is not known."""
    return f"<{_word(node)}>"


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return _plain(node.id)
    if isinstance(node, ast.Attribute):
        return _plain(node.attr)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "value")
        if name in _WRAPPERS and node.args:
            return _word(node.args[0])
        if name == "len":
            return "count"
        if name in ("get", "hex") and isinstance(node.func, ast.Attribute):
            return _word(node.args[0]) if node.args else _word(node.func.value)
        return _plain(name)
    if isinstance(node, ast.Subscript):
        return _word(node.value)
    if isinstance(node, ast.BinOp):
        return _word(node.left if not isinstance(node.left, ast.Constant) else node.right)
    if isinstance(node, ast.UnaryOp):
        return _word(node.operand)
    if isinstance(node, ast.IfExp):
        return _word(node.body)
    if isinstance(node, ast.BoolOp):
        return _word(node.values[0])
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "value"


def _called_name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _plain(name: str) -> str:
    name = name.strip("_")
    return _WORDS.get(name, re.sub(r"^(shown|named|name_of|st|sh|e)_", "", name).replace("_", " "))


def _joined(parts: Sequence[Alternatives]) -> Alternatives:
    combined = itertools.islice(itertools.product(*parts), _MOST + 1)
    return tuple("".join(text or "" for text in texts) for texts in combined)


def _assigned(function: ast.FunctionDef, use: ast.Name) -> list[tuple[ast.expr, bool]]:
    """What may have been assigned to a name when it is used, and whether it was added to what was there.

    The last assignment before the use counts, and those in branches behind it.
    """
    found: list[tuple[ast.expr, bool]] = []
    for block, at in _blocks_around(function.body, use):
        for statement in reversed(block[:at]):
            here = list(_assignments(statement, use.id))
            found += here
            if any(not added for _, added in here) and _always_assigns(statement, use.id):
                return found
    return found


def _blocks_around(block: list[ast.stmt], use: ast.AST) -> list[tuple[list[ast.stmt], int]]:
    """The lists of statements around `use`, the innermost first, and the place of the one with it in each."""
    for at, statement in enumerate(block):
        if any(node is use for node in ast.walk(statement)):
            handlers = [handler.body for handler in getattr(statement, "handlers", ())]
            inner = [*(getattr(statement, part, []) for part in ("body", "orelse", "finalbody")), *handlers]
            deeper = (_blocks_around(statements, use) for statements in inner)
            return [*next(filter(None, deeper), []), (block, at)]
    return []


def _always_assigns(statement: ast.stmt, name: str) -> bool:
    """Whether a name has a value of this statement's behind it, on every way through it."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return any(True for _ in _assignments(statement, name))
    if isinstance(statement, ast.If) and statement.orelse:
        return all(
            any(_always_assigns(item, name) for item in block) or isinstance(block[-1], ast.Raise | ast.Return)
            for block in (statement.body, statement.orelse)
        )
    return False


def _assignments(statement: ast.stmt, name: str) -> Iterator[tuple[ast.expr, bool]]:
    """What is assigned to a name in a statement, and whether it is added to what was there."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value, False
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for one, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(one, ast.Name) and one.id == name:
                            yield value, False
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            yield node.value, True


def _loops_over(function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    """What loops go through that give a name its values."""
    for node in ast.walk(function):
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name) and node.target.id == name:
            yield node.iter


def _local_names(function: ast.FunctionDef) -> set[str]:
    """The names that a function gives values to."""
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def calls_of(file: SourceFile, name: str) -> Iterator[ast.Call]:
    """The calls of a function or method of that name in a file."""
    yield from file.calls.get(name, ())


def _field_names(node: ast.ClassDef) -> list[str]:
    return [
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]


def argument(function: ast.FunctionDef, call: ast.Call, name: str) -> ast.expr | None:
    """What `call` gives for the parameter `name` of `function`: an argument or the default."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    names = _parameters(function)
    positional = names[1:] if names[:1] == ["self"] else names
    at = positional.index(name) if name in positional else -1
    if 0 <= at < len(call.args) and not any(isinstance(item, ast.Starred) for item in call.args[: at + 1]):
        return call.args[at]
    keyword_only = [item.arg for item in function.args.kwonlyargs]
    if name in keyword_only:
        return function.args.kw_defaults[keyword_only.index(name)]
    ordered = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    behind = ordered.index(name) - (len(ordered) - len(function.args.defaults))
    return function.args.defaults[behind] if behind >= 0 else None
