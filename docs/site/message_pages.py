# SPDX-License-Identifier: GPL-2.0-only
"""The pages of the loader's messages: one for each file of the loader check that has some."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from docs.site.examples import Example, example_of, read_examples
from docs.site.loader_messages import REFUSED, SAID, UNDEFINED, Message, all_messages
from docs.site.markdown import bullets, code, definition, docstring, prose

FOLDER = "docs/reference/loader-messages"
KERNEL_MESSAGES = "tests/vm/referee/messages.tsv"
_PREFIX = "kbuildpy/loader/"
_CONVERSION = re.compile(r"%\*?(?:phN|p|[lLz]*[sdiux])")
_RETPOLINE = "%s: loading module not compiled with retpoline compiler."
_OF_THE_CAUSE = "that of the cause: `EBADMSG` or `EKEYREJECTED` for a signature, that of the verifier for types"
_MACHINES = {"riscv": "riscv", "arm64": "arm64"} | dict.fromkeys(("arm", "i386", "partly", "powerpc", "s390"), "partly")
"""The machines whose damages are in files of their own."""
_KINDS = {
    REFUSED: "The kernel refuses the module.",
    SAID: "The kernel logs it, and goes on.",
    UNDEFINED: "The kernel does not check this: it would read or write where it must not. Such a module is not "
    "accepted, and no errno is promised.",
}


@dataclass(frozen=True)
class KernelMessage:
    """A message of the kernel's sources."""

    source: str
    lines: tuple[str, ...]
    """The lines of kernels whose sources have it, of those that the referee asks."""
    format: str

    def is_said_by(self, message: Message) -> bool:
        """Whether the loader check says it with `message`."""
        return any(_as_logged(self.format).fullmatch(line) for line in message.lines)


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


def message_pages(root: Path) -> dict[str, str]:
    """The pages by path, with the page that lists them first."""
    examples, known, tests = read_examples(root), kernel_messages(root), loader_tests(root)
    messages = [as_kernels_say(message, known) for message in merged(all_messages(root))]
    pages: dict[str, str] = {}
    rows = []
    for file in dict.fromkeys(message.file for message in messages):
        own = [message for message in messages if message.file == file]
        name = file.removeprefix(_PREFIX).removesuffix(".py").replace("/", "-").replace("_", "-")
        title, text = _heading(root, file)
        # (dozens of pages in the navigation of each page would make all of them slow)
        pages[f"{FOLDER}/{name}.md"] = f"---\norphan: true\n---\n\n# {title}\n\n{text}\n\n" + "".join(
            _section(message, label_of(name, message, own), _provoked(message, examples, tests), known)
            for message in own
        )
        rows.append((name, title, own))
    return {f"{FOLDER}/index.md": _index(root, rows, messages, known), **pages}


def merged(messages: Sequence[Message]) -> list[Message]:
    """`messages`, of those that say the same in one file the first alone, with the stages of all."""
    found: dict[tuple[object, ...], Message] = {}
    for message in messages:
        key = (message.file, message.kind, message.errnos, message.lines, message.reasons, message.hints)
        before = found.get(key)
        stages = (*before.stages, *message.stages) if before else message.stages
        found[key] = replace(before or message, stages=tuple(dict.fromkeys(stages)))
    return list(found.values())


def _heading(root: Path, file: str) -> tuple[str, str]:
    """The title of a file's page, and what the file says of itself."""
    text = ast.get_docstring(ast.parse((root / file).read_text())) or file
    first = text.split("\n\n")[0].replace("\n", " ")
    title = re.split(r" \(|: |\. |\.$", first)[0]
    return f"{prose(title)}: messages", f"{docstring(first)}\n\nIn the code: {code(file)}."


def label_of(page: str, message: Message, own: Sequence[Message]) -> str:
    """The label of a message: of its page and words, with a number where another one has the same."""
    slug = re.sub(r"[^a-z0-9]+", "-", message.title.lower()).strip("-")[:60]
    same = [item for item in own if re.sub(r"[^a-z0-9]+", "-", item.title.lower()).strip("-")[:60] == slug]
    number = f"-{same.index(message) + 1}" if len(same) > 1 else ""
    return f"{page}-{slug}{number}"


def _section(message: Message, label: str, provoked: str, known: Sequence[KernelMessage]) -> str:
    parts = [f"({label})=\n## {code(message.title.strip())}\n\n", f"{_KINDS[message.kind]}\n\n"]
    if message.kind == REFUSED:
        parts.append(definition("errno", ", ".join(map(code, message.errnos)) or _OF_THE_CAUSE))
        parts.append(definition("Kernel log", _texts(message.lines) or "nothing"))
    elif message.kind == SAID:
        parts.append(definition("Kernel log", _texts(message.lines)))
    parts.append(definition("Function of the kernel", ", ".join(map(code, message.stages)) or "several"))
    sources = [item for item in known if item.is_said_by(message)]
    if sources:
        parts.append(definition("Source of the kernel", bullets(map(_source, sources))))
    if message.reasons:
        parts.append(definition("Why", _sentences(message.reasons)))
    elif message.purpose:
        parts.append(definition("When", docstring(message.purpose)))
    if message.kind != SAID:
        parts.append(
            definition("What to do", _sentences(message.hints) or "The cause says it: mend that, and build again.")
        )
    parts.append(definition("How to provoke it", provoked))
    parts.append(definition("In the code", code(f"{message.file}:{message.number}")))
    return "".join(parts)


def _texts(texts: Sequence[str]) -> str:
    return code(texts[0]) if len(texts) == 1 else bullets(map(code, texts))


def _sentences(texts: Sequence[str]) -> str:
    return prose(texts[0]) if len(texts) == 1 else bullets(map(prose, texts))


def _source(item: KernelMessage) -> str:
    return f"{code(item.source)} of {', '.join(item.lines)}: {code(item.format)}"


def loader_tests(root: Path) -> dict[str, str]:
    """The tests of the loader check by path, with their text."""
    paths = [
        *(root / "tests/unit").glob("test_*.py"),
        *(root / "tests/vm").rglob("*.py"),
        *(root / "tests/parity").glob("*.py"),
    ]
    texts = {str(path.relative_to(root)): path.read_text() for path in sorted(paths)}
    return {name: text for name, text in texts.items() if "kbuildpy.loader" in text or "kbuildpy check" in text}


def _provoked(message: Message, examples: Sequence[Example], tests: Mapping[str, str]) -> str:
    example = example_of(message, examples)
    if example is not None:
        said = [code(text) for text in (example.line,) if text] + [prose(text) for text in (example.reason,) if text]
        damage = f"The referee's damage {code(example.case)} (`tests/vm/referee/damage/`)"
        return f"{damage}, with a kernel of {example.kernel}. It says:\n\n{bullets(said)}"
    machine = next((name for name in _MACHINES if f"/machines/{name}" in message.file), "")
    if machine:
        file = f"tests/vm/referee/damage/{_MACHINES[machine]}.py"
        return f"The referee's damages for this machine: {code(file)}, in the longer runs."
    for fragment in fragments(message):
        for path, text in tests.items():
            if fragment in text:
                return f"The test {code(path)} (search it for {code(fragment)})."
    if message.kind == UNDEFINED:
        return "Damage at random: `tests/fuzz/` and `tests/vm/referee/mutations.py`. No damage with a name ends here."
    return "No test names it: it depends on the kernel's configuration, or on what is loaded already."


def fragments(message: Message) -> list[str]:
    """The parts of a message that do not vary and are long enough to be found, the longest first."""
    parts = [part.strip(" :,'") for text in (*message.lines, *message.reasons) for part in re.split(r"<[^<>]*>", text)]
    return sorted((part for part in parts if len(part) > 14), key=len, reverse=True)


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


def _index(
    root: Path,
    rows: Sequence[tuple[str, str, list[Message]]],
    messages: Sequence[Message],
    known: Sequence[KernelMessage],
) -> str:
    lists = "".join(
        f"## {title}\n\n"
        + bullets(f"[{code(item.title.strip())}](#{label_of(name, item, own)})" for item in own)
        + "\n"
        for name, title, own in rows
    )
    never = unseen(root)
    others = bullets(
        f"{code(text)}: {prose(reason)}" for text, reason in never.items() if not _is_said(text, messages, known)
    )
    return f"""# Messages of the loader

What a kernel can answer when a module is loaded, and what `kbuildpy check` says before: {len(messages)} messages. For
each: errno, line of the kernel's log, function of the kernel, reason, what to do, and one way to provoke it. All of it
is taken from the code of the loader check when this page is built. Words in angle brackets vary.

To find yours, search this site for the line that `dmesg` shows, without names and numbers.

{lists}
## Never said by the loader check

The kernel's sources have these messages too. No module provokes them on the machines that the referee boots:

{others}
{code(_RETPOLINE)}: whether a kernel says it depends on the machine's processor; `check` lists it as not checked.
"""


def _is_said(text: str, messages: Sequence[Message], known: Sequence[KernelMessage]) -> bool:
    return any(item.format == text and any(map(item.is_said_by, messages)) for item in known)
