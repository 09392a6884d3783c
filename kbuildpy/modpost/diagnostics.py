# SPDX-License-Identifier: GPL-2.0-only
"""modpost's messages, word for word (scripts/mod/modpost.c: modpost_log).

The texts are the tree's own, so that an editor or a CI job that knows Kbuild's lines knows ours. Most of
them were reworded once, when the module's name became a prefix; both wordings stand side by side here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SectionReference:
    """A reference between two sections of a module object, by their indices; addresses are offsets in them."""

    section: int
    offset: int
    source: str
    """The symbol that `offset` lies in, as modpost names it; "" or "(unknown)" for none."""
    to_section: int
    to_offset: int
    target: str
    """The symbol there, in the same way."""


@dataclass(frozen=True)
class DiagnosticTopic:
    """What a message is about."""

    kind: str
    """The key of the tables below; also for the longer messages about mismatches."""
    module: str
    """The module's nominal name."""
    symbol: str = ""
    namespace: str = ""
    reference: SectionReference | None = None


@dataclass(frozen=True)
class Diagnostic:
    """One message: its severity and the text as modpost prints it, newline included where it prints one."""

    severity: str
    text: str
    topic: DiagnosticTopic | None = field(default=None, compare=False)
    """None for a message that is about no module."""


class Fatal(Exception):
    """modpost gives up at once: exit(1). Its messages are in the log already."""


OLD: dict[str, str] = {
    "common": '"{symbol}" [{module}] is COMMON symbol\n',
    "description": "missing MODULE_DESCRIPTION() in {module}.o\n",
    "exported-twice": "{module}: '{symbol}' exported twice. Previous export was in {owner}\n",
    "export-discarded": "{module}: EXPORT_SYMBOL used for init/exit symbol: {symbol} (section: {section})\n",
    "gpl-future": "GPL-incompatible module {basename}.ko uses future GPL-only symbol '{symbol}'\n",
    "gpl-only": "GPL-incompatible module {basename}.ko uses GPL-only symbol '{symbol}'\n",
    "gpl-only-unused": "GPL-incompatible module {basename}.ko uses GPL-only symbol marked UNUSED '{symbol}'\n",
    "exit-symbol": "{module}: {symbol}: EXPORT_SYMBOL used for exit symbol. Remove __exit or EXPORT_SYMBOL.\n",
    "init-symbol": "{module}: {symbol}: EXPORT_SYMBOL used for init symbol. Remove __init or EXPORT_SYMBOL.\n",
    "license": "missing MODULE_LICENSE() in {module}.o\n",
    "local-export": "{module}: local symbol '{symbol}' was exported\n",
    "mismatch": (
        "{module}: section mismatch in reference: {source} (section: {fromsec}) -> {target} (section: {tosec})\n"
    ),
    "name-too-long": "module name is too long [{module}.ko]\n",
    "namespace": "module {basename} uses symbol {symbol} from namespace {namespace}, but does not import it.\n",
    "no-crc": '"{symbol}" [{module}.ko] has no CRC!\n',
    "no-definition": '"{symbol}" [{module}.ko] was exported without definition\n',
    "non-allocatable": (
        "{module} ({section}): unexpected non-allocatable section.\n"
        'Did you forget to use "ax"/"aw" in a .S file?\n'
        "Note that for example <linux/init.h> contains\n"
        "section definitions for use in .S files.\n\n"
    ),
    "not-an-export": (
        "{module}: .export_symbol section references '{symbol}', but it does not seem to be an export symbol\n"
    ),
    "static": '"{symbol}" [{module}] is a static {macro}\n',
    "strange-export": "{module}: .export_symbol section contains strange symbol '{symbol}'\n",
    "symbol-too-long": 'too long symbol "{symbol}" [{module}.ko]\n',
    "undefined": '"{symbol}" [{module}.ko] undefined!\n',
    "unknown-license": "{module}: unknown license '{license}' was specified for '{symbol}'\n",
    "unused": "module {basename}.ko uses symbol '{symbol}' marked UNUSED\n",
    "unversioned": (
        'EXPORT symbol "{symbol}" [{module}.ko] version generation failed, symbol will not be versioned.\n'
        'Is "{symbol}" prototyped in <asm/asm-prototypes.h>?\n'
    ),
    "unversioned-early": (
        'EXPORT symbol "{symbol}" [{module}.ko] version generation failed, symbol will not be versioned.\n'
    ),
}

NEW: dict[str, str] = {
    "common": "'{symbol}' is COMMON symbol\n",
    "description": "missing MODULE_DESCRIPTION()\n",
    "exported-twice": "symbol '{symbol}' exported twice. Previous export was in {owner}\n",
    "gpl-only": "GPL-incompatible module uses GPL-only symbol '{symbol}'\n",
    "exit-symbol": "EXPORT_SYMBOL used for exit symbol '{symbol}'. Remove __exit or EXPORT_SYMBOL.\n",
    "init-symbol": "EXPORT_SYMBOL used for init symbol '{symbol}'. Remove __init or EXPORT_SYMBOL.\n",
    "license": "missing MODULE_LICENSE()\n",
    "local-export": "local symbol '{symbol}' was exported\n",
    "mismatch": "section mismatch in reference: {source} (section: {fromsec}) -> {target} (section: {tosec})\n",
    "module-namespace": "explicitly importing namespace '{namespace}' is not allowed.\n",
    "name-too-long": "module name is too long\n",
    "namespace": "module uses symbol '{symbol}' from namespace '{namespace}', but does not import it.\n",
    "no-crc": "symbol '{symbol}' has no CRC!\n",
    "no-definition": "symbol '{symbol}' was exported without definition\n",
    "non-allocatable": (
        "unexpected non-allocatable section '{section}'.\n"
        'Did you forget to use "ax"/"aw" in a .S file?\n'
        "Note that for example <linux/init.h> contains\n"
        "section definitions for use in .S files.\n\n"
    ),
    "not-an-export": ".export_symbol section references '{symbol}', but it does not seem to be an export symbol\n",
    "strange-export": ".export_symbol section contains strange symbol '{symbol}'\n",
    "symbol-too-long": "too long symbol '{symbol}'\n",
    "undefined": "symbol '{symbol}' undefined!\n",
    "unknown-license": "unknown license '{license}' was specified for '{symbol}'\n",
    "unversioned": (
        "EXPORT symbol '{symbol}' version generation failed, symbol will not be versioned.\n"
        "Is '{symbol}' prototyped in <asm/asm-prototypes.h>?\n"
    ),
}


@dataclass
class Log:
    """Collects diagnostics in modpost's order; `failed` is its `error_occurred`.

    `module_prefix` selects the newer wording. `fatal_word` is how a fatal error announces itself. `truncates` says how
    a line that is too long is treated (see `check_line`).
    """

    module_prefix: bool
    fatal_word: str
    truncates: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)
    failed: bool = False

    def warn(self, text: str, *, topic: DiagnosticTopic | None = None) -> None:
        """A plain warning; `text` without the "WARNING: modpost: "."""
        self.diagnostics.append(Diagnostic("warning", f"WARNING: modpost: {text}", topic))

    def error(self, text: str, *, fails: bool = True, topic: DiagnosticTopic | None = None) -> None:
        """A plain error: modpost goes on, writes nothing more and (unless `fails` is false) fails in the end."""
        self.diagnostics.append(Diagnostic("error", f"ERROR: modpost: {text}", topic))
        self.failed = self.failed or fails

    def fatal(self, text: str, *, before: str = "", topic: DiagnosticTopic | None = None) -> Fatal:
        """Record a fatal error (`before`: unprefixed lines ahead of it) and return what to raise."""
        self.diagnostics.append(Diagnostic("fatal", f"{before}{self.fatal_word}: modpost: {text}", topic))
        self.failed = True
        return Fatal()

    def perror(self, filename: str, error: OSError) -> Fatal:
        """Record a file that could not be read, as perror(3) does, and return what to raise."""
        self.diagnostics.append(Diagnostic("fatal", f"{filename}: {error.strerror}\n"))
        self.failed = True
        return Fatal()

    def note(self, text: str) -> None:
        """An unprefixed line that changes nothing."""
        self.diagnostics.append(Diagnostic("warning", text))

    def module(
        self,
        kind: str,
        module: str,
        *,
        error: bool = True,
        is_vmlinux: bool = False,
        topic: DiagnosticTopic | None = None,
        **facts: str,
    ) -> None:
        """A message about `module` (its nominal name without suffix) out of the tables above."""
        text = self.text(kind, module, is_vmlinux=is_vmlinux, **facts)
        about = topic or DiagnosticTopic(kind, module, facts.get("symbol", ""), facts.get("namespace", ""))
        if error:
            self.error(text, topic=about)
        else:
            self.warn(text, topic=about)

    def text(self, kind: str, module: str, *, is_vmlinux: bool = False, **facts: str) -> str:
        """The wording of a message about `module`."""
        if self.module_prefix:
            suffix = "" if is_vmlinux else ".ko"
            return f"{module}{suffix}: " + NEW[kind].format(module=module, **facts)
        return OLD[kind].format(module=module, basename=module.rpartition("/")[2], **facts)


def check_line(log: Log, line: str) -> str:
    """`line`, unless it is longer than the buffer that modpost formats a line in (modpost.c: buf_printf).

    Then modpost gives up, or (`Log.truncates`) writes what fits and as many NUL bytes as did not.
    """
    size = len(line.encode("utf-8", "surrogateescape"))
    if size >= LINE_SIZE:
        kept = line.encode("utf-8", "surrogateescape")[: LINE_SIZE - 1].decode("utf-8", "surrogateescape")
        if log.truncates:
            return kept + "\0" * (size - LINE_SIZE + 1)
        raise log.fatal(
            f"buf_printf output truncated for string {kept}: {size + 1} bytes needed, {LINE_SIZE} available\n"
        )
    return line


LINE_SIZE = 500
