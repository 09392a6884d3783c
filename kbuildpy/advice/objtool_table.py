# SPDX-License-Identifier: GPL-2.0-only
"""What objtool's messages end in when the module runs.

objtool checks the machine code of each object: that the kernel's unwinder finds its way through it (ORC), and that
mitigations and tracing hold. Its messages name instructions, not consequences (tools/objtool/check.c, special.c,
orc_gen.c; Documentation/objtool.txt). The table has the messages of 6.1, 6.12 and 7.3, by words that stay the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TRACE = "stack traces through it can be wrong or end early, and livepatching waits for tasks that are in it"


class Consequence(NamedTuple):
    """A kind of message."""

    pattern: re.Pattern[str]
    text: str


def consequence_of(text: str) -> Consequence | None:
    """The kind of a message of objtool; None for one that is not known."""
    return next((row for row in CONSEQUENCES if row.pattern.search(text)), None)


def _row(text: str, *patterns: str) -> Consequence:
    return Consequence(re.compile("|".join(patterns)), text)


CONSEQUENCES = (
    # Where execution goes.
    _row(
        "execution runs on into whatever code follows. The compiler saw undefined behaviour (a path without a return "
        "value, an index out of bounds, a division by zero), or the function ends in a call of one that never returns "
        "and is not declared __noreturn",
        r"falls through to next function",
        r"unexpected end of section",
    ),
    _row(
        "objtool takes the code behind that call for reachable: nothing is wrong at run time as long as the function "
        "never returns. Declare it __noreturn; tools/objtool/noreturns.h lists those of the kernel",
        r"missing (?:a )?__noreturn",
    ),
    _row(
        f"the code there has no unwind data: {_TRACE}. It is behind a call that never returns, or is reached in a way "
        "that objtool cannot follow",
        r"unreachable instruction",
        r"ignoring unreachables",
        r"can't find (?:un)?reachable insn",
    ),
    _row(
        f"assembly jumps to or calls a place that is no function: {_TRACE}. SYM_FUNC_START and SYM_FUNC_END mark one",
        r"can't find (?:call|jump) dest",
        r"can't find alternative jump destination",
        r"unsupported call to non-function",
        r"unannotated intra-function call",
        r"intra_function_call not a direct call",
        r"bad \.discard\.intra_function_call",
    ),
    _row(
        "objtool, the unwinder and tracing do not know where the function ends. In assembly, SYM_FUNC_START and "
        "SYM_FUNC_END tell them",
        r"missing an ELF size annotation",
        r"STT_FUNC at end of section",
        r"can't find starting instruction",
    ),
    _row("the kernel does not find the function as the module's init: name it by module_init()", r"Magic init_module"),
    # Entry code that must not be traced.
    _row(
        "code that must not be traced calls code that can be: a tracer or kprobe there runs in a state of the CPU in "
        "which it may recurse until the stack is full",
        r"leaves \.noinstr\.text section",
        r"return with instrumentation enabled",
        r"bad \.discard\.instr_",
        r"pv_ops",
    ),
    # The stack frame.
    _row(
        "the function returns with another stack pointer than it was called with, or jumps away from a frame that is "
        "not taken down: it returns to a wrong address, which is an oops",
        r"return with modified stack frame",
        r"sibling call from callable instruction with modified stack frame",
    ),
    _row(
        f"there is no stack frame where the unwinder expects one: {_TRACE}. FRAME_BEGIN and FRAME_END make one",
        r"call without frame pointer save/setup",
        r"BP used as a scratch register",
    ),
    _row(
        f"objtool cannot tell how large the stack frame is there: {_TRACE}",
        r"stack state mismatch",
        r"undefined stack state",
        r"unsupported stack",
        r"unknown stack-related",
        r"unsupported instruction in callable function",
        r"unknown (?:CFA|BP) base reg",
        r"CFI missing",
        r"no corresponding CFI save",
        r"isn't smart enough",
        r"unwind[_ ]hint",
        r"can't find switch jump table",
    ),
    _row(
        f"an instruction that objtool does not know, or data among code: nothing behind it is checked, and {_TRACE}",
        r"can't decode instruction",
        r"invalid LEA encoding",
    ),
    # Mitigations of the CPU's faults.
    _row(
        "the jump or call is not protected against Spectre v2: a process can make the CPU run code of its choice there "
        "speculatively. In assembly, CALL_NOSPEC and JMP_NOSPEC are",
        r"indirect \S+ found in (?:MITIGATION_)?RETPOLINE build",
        r"retpoline_safe",
        r"early indirect call",
    ),
    _row(
        "the return is not protected against Retbleed and its kin: in assembly, write RET in place of ret",
        r"'naked' return found in",
        r"RET before UNTRAIN",
        r"Failed UNRET validation",
    ),
    _row("the CPU can speculate straight on behind the return or jump (CONFIG_SLS)", r"missing int3 after"),
    _row(
        "the code has no ENDBR: on a CPU with IBT an indirect call to it ends in `Missing ENDBR` and an oops",
        r"relocation to !ENDBR",
        r"without ENDBR",
        r"not an indirect call target",
        r"notrack prefix",
        r"bad \.discard\.noendbr",
        r"corrupt function pointer reference",
    ),
    _row(
        "the call is not checked by kCFI: a corrupted pointer is followed", r"no-cfi indirect call", r"NOCFI annotation"
    ),
    # Access to user memory.
    _row(
        "code runs while the kernel may access user memory (SMAP is off from user_access_begin() on): a wrong pointer "
        "there reaches user memory unnoticed, and if the code sleeps, SMAP stays off for another task",
        r"with UACCESS enabled",
        r"recursive UACCESS enable",
        r"UACCESS-safe",
    ),
    _row("user memory is accessed with SMAP on: a page fault, which is an oops", r"redundant UACCESS disable"),
    _row(
        "C code expects the direction flag clear: memory copies run backwards",
        r"with DF set",
        r"recursive STD",
        r"redundant CLD",
    ),
    _row("ENQCMD uses the PASID of a process, which a kernel thread has none of: #GP, which is an oops", r"ENQCMD"),
    # Patching.
    _row("ftrace does not find the function's entry, so it cannot be traced", r"[Tt]ail call to __fentry__"),
    _row(
        "the kernel patches this code when it loads the module (alternatives, jump labels), and may patch it wrongly",
        r"alternative",
        r"jump label",
        r"can't find (?:orig|new|key) reloc",
        r"special: can't find",
        r"bad \.discard\.ignore_alts",
    ),
    _row("the kernel cannot patch the static call: it stays an indirect one", r"static_call"),
    _row(
        "objtool has been over this object before, and left its tables as they were: remove the object and build again",
        r"file already has",
    ),
    # objtool itself.
    _row("the build stops here: objtool's warnings are errors (CONFIG_OBJTOOL_WERROR)", r"upgraded to errors"),
    _row(
        "objtool could not do its work: the object is the compiler's, with less or no unwind data",
        r"[cm]alloc",
        r"mmap",
        r"strdup",
        r"elf_",
        r"symbol name too long",
        r"dodgy linker",
        r"unexpected (?:relocation|ELF)",
        r"bad \.discard\.",
        r"size not a multiple",
        r"invalid (?:NOP|RET) size",
        r"absolute relocation",
        r"missing \.rela",
        r"disassembly",
        r"objdump",
        r"after linking",
        r"Unknown annotation",
        r"PUSHF stack exhausted",
        r"teh end",
        r"validating an ignored",
    ),
)
"""The kinds of messages, and what they end in; the first that fits counts."""
