# SPDX-License-Identifier: GPL-2.0-only
"""modpost's messages, word for word (scripts/mod/modpost.c: modpost_log).

The texts are those of the kernel tree, so that editors and CI jobs that parse Kbuild's messages parse these too. Most
of them were reworded when the module's name became a prefix (6.19): `OLD` and `NEW` have the two wordings.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SectionReference:
    """A reference between two sections of a module object."""

    section: int
    """The index of the section that refers."""
    offset: int
    """The offset of the reference in it, in bytes."""
    source: str
    """The symbol at or before `offset`, as modpost names it; "" or "(unknown)" for none."""
    to_section: int
    """The index of the section that is referred to."""
    to_offset: int
    """The offset in that section, in bytes."""
    target: str
    """The symbol at `to_offset`, as modpost names it; "" or "(unknown)" for none."""


@dataclass(frozen=True)
class DiagnosticTopic:
    """The module, symbol and reference that a message is about."""

    kind: str
    """The key of the message in `OLD` and `NEW`; "mismatch" for every message about a section mismatch."""
    module: str
    """The module's nominal name."""
    symbol: str = ""
    """The symbol; "" for none."""
    namespace: str = ""
    """The namespace; "" for none."""
    reference: SectionReference | None = None
    """The reference of a section mismatch."""


@dataclass(frozen=True)
class Diagnostic:
    """One message of modpost."""

    severity: str
    """"warning", "error" or "fatal"."""
    text: str
    """The text as modpost prints it, with the newline if modpost prints one."""
    topic: DiagnosticTopic | None = field(default=None, compare=False)
    """The module that the message is about; None for a message about no module."""


class Fatal(Exception):
    """modpost ends at once, with exit(1). Its messages are in the log already."""


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
    """Collects diagnostics in modpost's order."""

    module_prefix: bool
    """Use the wording of `NEW`, with the module's name as a prefix."""
    fatal_word: str
    """The first word of a fatal error: FATAL or ERROR."""
    truncates: bool = False
    """Truncate a line that is too long; else it is a fatal error (`check_line`)."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    failed: bool = False
    """An error occurred (modpost.c: error_occurred)."""

    def warn(self, text: str, *, topic: DiagnosticTopic | None = None) -> None:
        """Record a warning; `text` is without "WARNING: modpost: "."""
        self.diagnostics.append(Diagnostic("warning", f"WARNING: modpost: {text}", topic))

    def error(self, text: str, *, fails: bool = True, topic: DiagnosticTopic | None = None) -> None:
        """Record an error after which modpost goes on. Unless `fails` is false it sets `failed`: modpost then exits
        with an error, and from 5.19 on writes no more files."""
        self.diagnostics.append(Diagnostic("error", f"ERROR: modpost: {text}", topic))
        self.failed = self.failed or fails

    def fatal(self, text: str, *, before: str = "", topic: DiagnosticTopic | None = None) -> Fatal:
        """Record a fatal error; returns the exception to raise. `before` are lines before it, without a prefix."""
        self.diagnostics.append(Diagnostic("fatal", f"{before}{self.fatal_word}: modpost: {text}", topic))
        self.failed = True
        return Fatal()

    def perror(self, filename: str, error: OSError) -> Fatal:
        """Record that a file could not be read, with the text of perror(3); returns the exception to raise."""
        self.diagnostics.append(Diagnostic("fatal", f"{filename}: {error.strerror}\n"))
        self.failed = True
        return Fatal()

    def note(self, text: str) -> None:
        """Record a line without a prefix, as a warning."""
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
        """Record the message `kind` of `OLD` or `NEW` about `module` (its nominal name without a suffix), as an error
        or a warning. `facts` fill the placeholders in its text."""
        text = self.text(kind, module, is_vmlinux=is_vmlinux, **facts)
        about = topic or DiagnosticTopic(kind, module, facts.get("symbol", ""), facts.get("namespace", ""))
        if error:
            self.error(text, topic=about)
        else:
            self.warn(text, topic=about)

    def text(self, kind: str, module: str, *, is_vmlinux: bool = False, **facts: str) -> str:
        """The text of the message `kind` about `module`, in this kernel's wording."""
        if self.module_prefix:
            suffix = "" if is_vmlinux else ".ko"
            return f"{module}{suffix}: " + NEW[kind].format(module=module, **facts)
        return OLD[kind].format(module=module, basename=module.rpartition("/")[2], **facts)


def check_line(log: Log, line: str) -> str:
    """`line`, if it fits into the buffer in which modpost formats a line (modpost.c: buf_printf).

    For a longer line raises `Fatal`. With `Log.truncates` returns what fits, followed by a NUL byte for each byte that
    does not fit.
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
