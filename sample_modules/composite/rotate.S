/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * u32 composite_rotate(u32 value, u32 count): value rotated left by count bits.
 *
 * SYM_FUNC_START and SYM_FUNC_END give the symbol its type and size, and a landing pad where indirect
 * branches need one. RET is more than "ret" on x86: with return thunks it jumps to the kernel's own, and
 * objtool reports every plain "ret". The file goes through the C preprocessor like any C file.
 */

#include <linux/linkage.h>

	.text

SYM_FUNC_START(composite_rotate)
#if defined(CONFIG_X86_64)
	movl	%edi, %eax
	movl	%esi, %ecx
	roll	%cl, %eax
	RET
#elif defined(CONFIG_ARM64)
	neg	w1, w1			/* left by n is right by 32 - n */
	ror	w0, w0, w1
	ret
#else
#error "composite_rotate() is written for x86-64 and arm64 only"
#endif
SYM_FUNC_END(composite_rotate)
