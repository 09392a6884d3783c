# SPDX-License-Identifier: GPL-2.0-only
"""The error messages that the kernel logs about dyndbg="..." (lib/dynamic_debug.c: ddebug_exec_queries).

An invalid query does not stop the loading of the module. The debug messages that a query enables are not determined
here, because the kernel does not log them.
"""

from __future__ import annotations

import re

from kbuildpy.loader import since
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import Memory, SectionOffset
from kbuildpy.loader.parameters.arguments import SPACES, as_text
from kbuildpy.loader.parameters.numbers import kstrto
from kbuildpy.loader.printk import signed
from kbuildpy.loader.verdict import Undefined

_MAX_WORDS = 9
_MESSAGE, _STATIC_KEY = {8: 56, 4: 32}, {8: 16, 4: 8}
"""sizeof(struct _ddebug), and the part of it in bytes that only kernels with CONFIG_JUMP_LABEL have, by the size of a
pointer."""
_CLASS = {8: 56, 4: 32}
"""sizeof(struct ddebug_class_map), likewise."""
_CLASS_MODULE, _LIST_HEAD = 3, 2
"""The pointers before the name of its module, and those of the list head at its beginning."""
_UINT_MAX = 0xFFFFFFFF
_KEYWORDS = (b"func", b"file", b"module", b"format", b"line", b"class")
_ALPHA = re.compile(rb"[A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff*?]")
_ESCAPE = re.compile(rb'\\([nrtvfae"\\]|[0-7]{1,3})')
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"e": b"\x1b"}


class _Wrong(Exception):
    """A query is invalid; `lines` are the lines of the log that describe the error."""

    def __init__(self, *lines: bytes) -> None:
        super().__init__(*lines)
        self.lines = lines


def exec_queries(info: LoadInfo, queries: bytes) -> None:
    """Log the kernel's error messages about `queries`, which are separated by semicolons and newlines."""
    for query in re.split(rb"[;\n]", queries):
        text = query.lstrip(SPACES)
        if text and not text.startswith(b"#"):
            for line in _complaints(text, info.kernel):
                info.log("dyndbg: " + as_text(line))


def dynamic_debug_setup(info: LoadInfo) -> None:
    """Call `ddebug_add_module` for kernels before 6.4, where it is a stage before read-only memory is protected."""
    if info.kernel.version < since.DYNDBG_NOTIFIED:
        ddebug_add_module(info)


def ddebug_add_module(info: LoadInfo) -> None:
    """Check the classes of debug messages, if the module has debug messages (ddebug_attach_module_classes).

    The kernel compares the module name in each class with the name of the module. It links the classes of the module
    into a list, which writes to them. Raises `Undefined` for a name or a class in invalid memory.
    """
    messages, classes = info.find_sec("__dyndbg"), info.find_sec("__dyndbg_classes")
    if not messages or not classes or not info.is_set("DYNAMIC_DEBUG_CORE"):
        return
    word = info.machine.word
    size = _MESSAGE[word] if info.is_set("JUMP_LABEL") else _MESSAGE[word] - _STATIC_KEY[word]
    if info.sechdrs[messages].sh_size < size:
        return
    memory, step = Memory(info), _CLASS[word]
    for start in range(0, info.sechdrs[classes].sh_size // step * step, step):
        name = memory.pointer(SectionOffset(classes, start + _CLASS_MODULE * word))
        if isinstance(name, int):
            raise Undefined(
                info.stage,
                f"a class of debug messages has the name of its module at {name:#x}, where nothing is",
                "declare classes of debug messages with DECLARE_DYNDBG_CLASSMAP(); if the source does, a tool has "
                "dropped "
                "relocations of __dyndbg_classes",
            )
        is_own = isinstance(name, SectionOffset) and as_text(memory.string(name)) == info.mod_name
        if is_own and info.kernel.version >= since.DYNDBG_NOTIFIED:
            memory.store(SectionOffset(classes, start), _LIST_HEAD * word)


def _complaints(query: bytes, kernel: LoaderKernel) -> tuple[bytes, ...]:
    """The lines of the log about one query, of which the last one names the part with the error; none if the query is
    valid (ddebug_exec_query)."""
    part = b"tokenize failed"
    try:
        words = _tokenize(query)
        part = b"flags parse failed"
        _parse_flags(words[-1], kernel)
        part = b"query parse failed"
        _parse_query(words[:-1])
    except _Wrong as wrong:
        return (*wrong.lines, part)
    return ()


def _tokenize(query: bytes) -> list[bytes]:
    words: list[bytes] = []
    while (query := query.lstrip(SPACES)) and not query.startswith(b"#"):
        if query[:1] in (b'"', b"'"):
            word, closed, rest = query[1:].partition(query[:1])
            if not closed:
                raise _Wrong(b"unclosed quote: " + word)
        else:
            word = re.split(b"[%s]" % SPACES, query, maxsplit=1)[0]
            rest = query[len(word) :]
        if len(words) == _MAX_WORDS:
            raise _Wrong(b"too many words, legal max <=%d" % _MAX_WORDS)
        words.append(word)
        query = rest
    return words


def _parse_flags(word: bytes, kernel: LoaderKernel) -> None:
    operation = word[:1]
    if not operation or operation not in b"+-=":
        raise _Wrong(b"bad flag-op %c, at start of %s" % (operation or b"\0", word))
    flags = b"pmflt_"
    flags += b"s" if kernel.version >= since.DYNDBG_SOURCE else b""
    flags += b"d" if kernel.version >= since.DYNDBG_STACK else b""
    for flag in word[1:]:
        if flag not in flags:
            raise _Wrong(b"unknown flag '%c'" % flag)


def _parse_query(words: list[bytes]) -> None:
    if len(words) % 2:
        raise _Wrong(b"expecting pairs of match-spec <value>")
    chosen: dict[bytes, bytes] = {}
    lines = (0, 0)
    for keyword, value in zip(words[::2], words[1::2], strict=True):
        if keyword not in _KEYWORDS:
            raise _Wrong(b'unknown keyword "%s"' % keyword)
        if keyword == b"line":
            lines = _parse_linerange(lines, value)
        elif keyword == b"file":
            # "file:function" or "file:lines"
            name, colon, tail = value.partition(b":")
            # The message about a second file shows the whole value: the kernel checks for one before it splits.
            _choose(chosen, b"file", value if b"file" in chosen else name)
            if colon and _ALPHA.match(tail):
                _choose(chosen, b"func", tail)
            elif colon:
                lines = _parse_linerange(lines, tail)
        else:
            _choose(chosen, keyword, _unescape(value) if keyword == b"format" else value)


def _choose(chosen: dict[bytes, bytes], keyword: bytes, value: bytes) -> None:
    if keyword in chosen:
        raise _Wrong(b"match-spec:%s val:%s overridden by %s" % (keyword, chosen[keyword], value))
    chosen[keyword] = value


def _parse_linerange(lines: tuple[int, int], word: bytes) -> tuple[int, int]:
    if lines != (0, 0):
        raise _Wrong(b"match-spec: line used 2x")
    first_word, dash, last_word = word.partition(b"-")
    first = _parse_lineno(first_word)
    if not dash:
        return first, first
    last = _parse_lineno(last_word) or _UINT_MAX
    if last < first:
        raise _Wrong(b"last-line:%d < 1st-line:%d" % (signed(last), signed(first)))
    return first, last


def _parse_lineno(word: bytes) -> int:
    number = kstrto(word, "u32", 10) if word else 0
    if isinstance(number, str):
        raise _Wrong(b"bad line-number: " + word)
    return number


def _unescape(text: bytes) -> bytes:
    """`text` with its escape sequences replaced, up to the first NUL of the result (lib/string_helpers.c:
    string_unescape)."""

    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else _ESCAPED.get(code, code)

    return _ESCAPE.sub(character, text).partition(b"\0")[0]
