# SPDX-License-Identifier: GPL-2.0-only
"""The pages of the loader's messages: one for each file of the loader check that has some."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from docs.site.examples import read_examples
from docs.site.loader_messages import REFUSED, SAID, UNDEFINED, Message, all_messages
from docs.site.markdown import bullets, code, definition, prose
from docs.site.message_titles import TITLES, machine_of
from docs.site.provoke import how_to_provoke
from docs.site.tool_lines import MEANINGS, all_words, label_of, title_of, tool_page
from kbuildpy.kernel.errnos import errno_number
from kbuildpy.loader.reports.stage_words import STAGE_WORDS

FOLDER = "docs/reference/loader-messages"
TOOLS = f"{FOLDER}/insmod-and-modprobe"
KERNEL_MESSAGES = "tests/vm/referee/messages.tsv"
_PREFIX = "kbuildpy/loader/"
_CONVERSION = re.compile(r"%\*?(?:phN|p|[lLz]*[sdiux])")
_RETPOLINE = "%s: loading module not compiled with retpoline compiler."
_OF_SIGNATURE = "`EBADMSG` or `EKEYREJECTED`, as it is damaged"
_OF_TYPES = "that of the line before, mostly `EINVAL`"
_KINDS = {
    REFUSED: "The kernel refuses the module.",
    SAID: "The kernel logs this and goes on: the line by itself is no refusal.",
    UNDEFINED: "The kernel does not check this. It loads the module, and then reads or writes memory that is not "
    "meant: it may "
    "crash at once, later, or never. Nothing of it is in the log before; `kbuildpy check` says so.",
}


_FEW = 6
"""Functions that an entry names at most."""
_HOW_TO_READ = """\
Words in angle brackets stand for what varies. Where a module is said to be changed "by damage", that is done to a sound
module, on purpose, for a test: [the list of all messages](index.md#how-the-damages-are-tried) says how."""
_REFEREE = """\
## How the damages are tried

For most messages there is a module that was damaged on purpose: the tests of kbuildpy change one thing in a sound
module (a byte, a header, an entry of a table), and put it before a real kernel in QEMU and before `kbuildpy check`;
both must say the same. This comparison is called the referee, and its damages have names, which stand behind each
message."""


@dataclass(frozen=True)
class KernelMessage:
    """A message of the kernel's sources."""

    source: str
    lines: tuple[str, ...]
    """The lines of kernels whose sources have it, of those that the referee asks."""
    format: str

    def is_said_by(self, message: Message) -> bool:
        """Whether the loader check says it with `message`."""
        return any(_as_logged(self.format).fullmatch(line) for line in message.logged)


@functools.cache
def _as_logged(text: str) -> re.Pattern[str]:
    """What a line of the log looks like that was made with a format of printk()."""
    return re.compile(".*?" + ".*".join(re.escape(part) for part in _CONVERSION.split(text)), re.DOTALL)


def kernel_messages(root: Path) -> list[KernelMessage]:
    """What the kernel's loader can say, by its sources (a list of the referee's)."""
    found = []
    for row in (root / KERNEL_MESSAGES).read_text().splitlines():
        if not row.startswith("#"):
            source, lines, text = row.split("\t")
            found.append(KernelMessage(source, tuple(lines.split()), text.replace("\\n", "\n")))
    return found


def unseen(root: Path) -> dict[str, str]:
    """The messages of the kernel that no module provokes on the referee's machines, each with the reason."""
    tree = ast.parse((root / "tests/vm/referee/checks.py").read_text())
    [table] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "UNSEEN"
    ]
    return {str(key): str(value) for key, value in ast.literal_eval(table).items()}


@dataclass(frozen=True)
class Entry:
    """A message with its place on the site."""

    message: Message
    page: str
    """The page, without its ending."""
    heading: str
    label: str

    @property
    def title(self) -> str:
        """The heading as plain text."""
        return re.sub(r"\\(.)", r"\1", re.sub(r"(`+) ?(.+?) ?\1(?!`)", r"\2", self.heading))

    @property
    def address(self) -> str:
        """Where the message is, from the root of the site."""
        return f"{self.page}.html#{self.label}"


def entries(root: Path) -> list[Entry]:
    """All messages, in the order of their pages, each with a heading that no other one has."""
    known = kernel_messages(root)
    messages = [as_kernels_say(message, known) for message in merged(all_messages(root))]
    titles = Counter(message.title for message in messages)
    headings = [_heading(message, alone=titles[message.title] == 1) for message in messages]
    found: list[Entry] = []
    labels: Counter[str] = Counter()
    for message, heading in zip(messages, headings, strict=True):
        if headings.count(heading) > 1:
            heading = f"{heading} ({machine_of(message.file) or _title(message.file)})"
        name = message.file.removeprefix(_PREFIX).removesuffix(".py").replace("/", "-").replace("_", "-")
        # (Sphinx would remove hyphens at the ends)
        slug = re.sub(r"[^a-z0-9]+", "-", f"{name}-{message.title}".lower())[:80].strip("-")
        labels[slug] += 1
        label = f"{slug}-{labels[slug]}" if labels[slug] > 1 else slug
        found.append(Entry(message, f"{FOLDER}/{name}", heading, label))
    return found


def message_pages(root: Path) -> dict[str, str]:
    """The pages by path, with the page that lists them first."""
    examples, known = read_examples(root), kernel_messages(root)
    pages: dict[str, str] = {}
    listed: dict[str, list[Entry]] = {}
    found = entries(root)
    for entry in found:
        listed.setdefault(entry.page, []).append(entry)
    for page, own in listed.items():
        file = own[0].message.file
        # (dozens of pages in the navigation of each page would make all of them slow)
        pages[f"{page}.md"] = (
            f"---\norphan: true\n---\n\n# Messages of the loader: {prose(_title(file))}\n\n"
            f"{_HOW_TO_READ}\n\n"
            + "".join(_section(entry, how_to_provoke(entry.message, examples), known) for entry in own)
        )
    pages[f"{TOOLS}.md"] = f"---\norphan: true\n---\n\n{tool_page(_by_errno(found))}"
    return {f"{FOLDER}/index.md": _index(root, listed, known), **pages}


def _by_errno(listed: Sequence[Entry]) -> dict[str, list[tuple[str, str]]]:
    """For each errno the headings and labels of the messages with which the loading of a module ends so."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in listed:
        message = entry.message
        errnos = message.errnos or (("EBADMSG",) if "signature" in message.file else ())
        if message.kind == REFUSED and "/lifecycle/" not in message.file:
            for errno in errnos:
                found.setdefault(errno, []).append((entry.heading, entry.label))
    return found


def line_index(root: Path) -> str:
    """The script with all lines of the log for the search: each with where it is explained, the heading there, the
    title of the page, and whether the message begins with it."""
    rows = [
        [
            _numbered(line, entry.message),
            entry.address,
            entry.title,
            _title(entry.message.file),
            line in entry.message.lines,
        ]
        for entry in entries(root)
        for line in entry.message.logged
    ]
    rows += [
        [words, f"{TOOLS}.html#{label_of(errno)}", title_of(errno), "What insmod and modprobe print", True]
        for errno in MEANINGS
        for words in all_words(errno)
    ]
    return f"// SPDX-License-Identifier: GPL-2.0-only\nconst LOADER_LINES = {json.dumps(rows)};\n"


def merged(messages: Sequence[Message]) -> list[Message]:
    """`messages`, of those that say the same in one file the first alone, with the stages of all."""
    found: dict[tuple[object, ...], Message] = {}
    for message in messages:
        key = (message.file, message.kind, message.errnos, message.lines, message.reasons, message.hints)
        before = found.get(key)
        stages = (*before.stages, *message.stages) if before else message.stages
        found[key] = replace(before or message, stages=tuple(dict.fromkeys(stages)))
    return list(found.values())


def _title(file: str) -> str:
    return TITLES[file.removeprefix(_PREFIX).removesuffix(".py")]


def _heading(message: Message, *, alone: bool) -> str:
    """The line as code, else the reason; where others have the same line, with the reason behind it."""
    if not message.lines:
        return prose(_sentence(message.reasons[0]).removesuffix("."))
    line = code(_numbered(message.title.strip(), message))
    if alone:
        return line
    reason = min(message.reasons, key=len).removeprefix(f"{message.title.removeprefix('BPF: ')}: ")
    return f"{line}: {prose(reason.removesuffix('.'))}"


def _numbered(line: str, message: Message) -> str:
    """A line with the number of the errno, where there is one errno."""
    if len(message.errnos) != 1:
        return line
    return line.replace("<errno>", str(errno_number(message.errnos[0])))


def _section(entry: Entry, provoked: str, known: Sequence[KernelMessage]) -> str:
    message = entry.message
    parts = [f"({entry.label})=\n## {entry.heading}\n\n", f"{_KINDS[message.kind]}\n\n"]
    parts.append(definition("Why", _sentences(message.reasons)))
    parts.append(definition("What to do", _sentences(message.hints)))
    if message.kind == REFUSED:
        other = _OF_SIGNATURE if "signature" in message.file else _OF_TYPES
        parts.append(definition("errno", ", ".join(map(code, message.errnos)) or other))
    if message.kind != UNDEFINED:
        parts.append(definition("Kernel log", _log(message, known)))
    parts.append(definition("How to provoke it", provoked))
    parts.append(definition("Function of the kernel", _functions(message)))
    sources = [item for item in known if item.is_said_by(message)]
    if sources:
        parts.append(definition("Source of the kernel", bullets(map(_source, sources))))
    parts.append(definition("In kbuildpy", code(f"{message.file}:{message.number}")))
    return "".join(parts)


def _functions(message: Message) -> str:
    if not 0 < len(message.stages) <= _FEW:
        return "several: wherever the kernel reads such a table"
    return ", ".join(
        f"{code(stage)}{f' ({STAGE_WORDS[stage]})' if stage in STAGE_WORDS else ''}" for stage in message.stages
    )


def _log(message: Message, known: Sequence[KernelMessage]) -> str:
    """The forms of the line, each with the kernels that have it, and the lines behind it."""
    if not message.lines:
        return "nothing"
    forms = [f"{code(_numbered(line, message))}{_kernels(line, message, known)}" for line in message.lines]
    text = forms[0] if len(forms) == 1 else f"one of these, by the kernel's version:\n\n{bullets(forms)}"
    if message.also:
        behind = bullets(code(_numbered(line, message)) for line in message.also)
        text += f"{'' if len(forms) > 1 else chr(10)}\nWith it come one or more of these:\n\n{behind}"
    return text


def _kernels(line: str, message: Message, known: Sequence[KernelMessage]) -> str:
    if len(message.lines) == 1:
        return ""
    versions = [
        name for item in known if item.is_said_by(replace(message, lines=(line,), also=())) for name in item.lines
    ]
    return f" ({', '.join(sorted(set(versions), key=_version))})" if versions else ""


def _sentences(texts: Sequence[str]) -> str:
    sentences = [prose(_sentence(text)) for text in texts]
    return sentences[0] if len(sentences) == 1 else f"one of these:\n\n{bullets(sentences)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _source(item: KernelMessage) -> str:
    return f"{code(item.source)} of {', '.join(item.lines)}: {code(item.format)}"


def as_kernels_say(message: Message, known: Sequence[KernelMessage]) -> Message:
    """`message` with the line of the newest kernel first, without lines that no kernel says where others are known."""
    newest = {
        line: max(_version(item.lines[-1]) for item in known if item.is_said_by(replace(message, lines=(line,))))
        for line in message.lines
        if any(item.is_said_by(replace(message, lines=(line,))) for item in known)
    }
    others = [line for line in message.lines if line not in newest]
    rest = others if len(message.lines) < 3 or not newest else []
    return replace(message, lines=(*sorted(newest, key=lambda line: newest[line], reverse=True), *rest))


def _version(line: str) -> tuple[int, ...]:
    return tuple(map(int, line.split(".")))


def _index(root: Path, listed: Mapping[str, list[Entry]], known: Sequence[KernelMessage]) -> str:
    messages = [entry.message for own in listed.values() for entry in own]
    lists = "".join(
        f"## {prose(_title(own[0].message.file))}\n\n"
        + bullets(f"[{entry.heading}](#{entry.label})" for entry in own)
        + "\n"
        for own in listed.values()
    )
    never = unseen(root)
    others = bullets(
        f"{code(text)}: {prose(reason)}" for text, reason in never.items() if not _is_said(text, messages, known)
    )
    return f"""# Messages of the loader

What a kernel can answer when a module is loaded, and what `kbuildpy check` says before: {len(messages)} messages. For
each: why, what to do, errno, line of the kernel's log, how to provoke it, function of the kernel. All of it is taken
from the code of the loader check when this page is built.

To find yours, paste the line that `dmesg` shows into the search of this site, as it is, with its names and numbers. The
line of insmod or modprobe says less: [what they print](insmod-and-modprobe.md), by errno.
Where several entries have the same line, `kbuildpy check FILE.ko -k RELEASE` says which of them it is, and why.

{_HOW_TO_READ}

{_REFEREE}

{lists}
## Never said by the loader check

The kernel's sources have these messages too. No module provokes them on the machines that the tests boot:

{others}
{code(_RETPOLINE)}: whether a kernel says it depends on the machine's processor; `check` lists it as not checked.
"""


def _is_said(text: str, messages: Sequence[Message], known: Sequence[KernelMessage]) -> bool:
    return any(item.format == text and any(map(item.is_said_by, messages)) for item in known)
