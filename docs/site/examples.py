# SPDX-License-Identifier: GPL-2.0-only
"""One way to provoke each message of the loader check: a named damage of the referee, and what is said of it.

`tests/vm/referee/examples.tsv` has them. `python -m tests.vm.referee.write_examples` writes that file, and the referee
compares each line with what the loader check says, in the run in which the kernel is asked.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from docs.site.loader_messages import REFUSED, SAID, UNDEFINED, Message, pattern_of

FILE = "tests/vm/referee/examples.tsv"
_TYPES = "kbuildpy/loader/btf/"
_OF_SEVERAL = (
    "BPF: Invalid name",
    "BPF: Invalid type_id",
    "BPF: Invalid btf_info kind_flag",
    "BPF: Invalid string section",
)
"""Lines about types that stand for several messages: the line alone does not tell which one."""
_OTHER_MACHINES = {
    "arm64": "arm64",
    "riscv": "riscv64",
    "i386": "i386",
    "arm": "armhf",
    "powerpc": "ppc64el",
    "s390": "s390x",
}
"""The machines other than x86-64, as the code and as the lines of kernels call them."""
_HEAD = """\
# What the loader check says of damages of the referee: one for each of its messages that a damage provokes.
# Written by python -m tests.vm.referee.write_examples, compared by the referee (test_referee.py).
# kernel line\tcase\terrno (- for undefined behaviour or an accepted module)\tstage\tthe line of the log\tthe reason
"""


@dataclass(frozen=True)
class Example:
    """What is said of one damaged module."""

    kernel: str
    """The line of kernels that it was made for, such as "6.12"."""
    case: str
    """The damage, as the referee names it."""
    errno: str
    """The errno's name; "" for an accepted module and for undefined behaviour."""
    stage: str
    line: str
    """The line of the log that is looked for: that of the refusal, or another one."""
    reason: str

    def row(self) -> str:
        """The line of the file."""
        fields = (self.kernel, self.case, self.errno, self.stage, self.line, self.reason)
        return "\t".join(_escaped(field) for field in fields)


def read_examples(root: Path) -> list[Example]:
    """The examples in the project's file."""
    rows = (root / FILE).read_text().splitlines()
    return [Example(*map(_plain, row.split("\t"))) for row in rows if not row.startswith("#")]


def write_examples(root: Path, examples: Iterable[Example]) -> None:
    """Write the project's file."""
    rows = "".join(f"{example.row()}\n" for example in examples)
    (root / FILE).write_text(_HEAD + rows)


def fits(message: Message, example: Example) -> bool:
    """Whether what was said is this message."""
    if not _is_of_machine(message, example.kernel):
        return False
    if message.file.startswith(_TYPES) and not example.errno:
        # (a kernel with MODULE_ALLOW_BTF_MISMATCH logs what the verifier says, and loads the module)
        lines = [line for line in message.lines if line.startswith("BPF: ") and line not in _OF_SEVERAL]
        return any(pattern_of(line).fullmatch(example.line.replace("\t", "")) for line in lines)
    if message.errnos and example.errno not in message.errnos:
        return False
    # (which stages read a damaged table first is not told by the code alone)
    if message.kind == REFUSED and message.stages and example.stage not in message.stages:
        return False
    if message.kind == REFUSED and not (example.errno and bool(message.lines) == bool(example.line)):
        return False
    said = example.line.replace("\t", "")
    if message.lines and not any(pattern_of(line).fullmatch(said) for line in message.lines):
        return False
    if message.kind == SAID:
        return True
    if message.kind == UNDEFINED and example.errno:
        return False
    return any(_behind_words(reason).fullmatch(example.reason) for reason in message.reasons)


def _is_of_machine(message: Message, kernel: str) -> bool:
    """Whether a kernel of this line runs on the machine of a message; those of no machine's file are of all."""
    _, found, rest = message.file.partition("/machines/")
    if not found:
        return True
    machine = rest.split("/")[0].removesuffix(".py")
    other = next((word for word in _OTHER_MACHINES.values() if kernel.endswith(word)), "")
    if machine == "partly":
        return other in ("i386", "armhf", "ppc64el", "s390x")
    return other == _OTHER_MACHINES.get(machine, "")


@functools.cache
def _behind_words(reason: str) -> re.Pattern[str]:
    """A reason, alone or behind the words that introduce it."""
    return re.compile(f"(?:.*: )?{pattern_of(reason).pattern}", re.DOTALL)


def example_of(message: Message, examples: Sequence[Example]) -> Example | None:
    """The first of `examples` that is this message."""
    return next((example for example in examples if fits(message, example)), None)


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode() or "-"


def _plain(field: str) -> str:
    return "" if field == "-" else field.encode().decode("unicode_escape")
