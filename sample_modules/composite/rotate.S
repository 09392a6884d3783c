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
#elif defined(CONFIG_RISCV)
	sllw	t0, a0, a1
	negw	a1, a1			/* left by n is right by 32 - n */
	srlw	a0, a0, a1
	or	a0, a0, t0
	ret
#elif defined(CONFIG_X86_32)
	movl	4(%esp), %eax		/* asmlinkage: the arguments are on the stack */
	movl	8(%esp), %ecx
	roll	%cl, %eax
	RET
#elif defined(CONFIG_ARM)
	rsb	r1, r1, #32
	ror	r0, r0, r1
	bx	lr
#elif defined(CONFIG_PPC)
	rlwnm	%r3, %r3, %r4, 0, 31
	blr
#elif defined(CONFIG_S390)
	rll	%r2, %r2, 0(%r3)
	br	%r14
#else
#error "composite_rotate() is not written for this architecture"
#endif
SYM_FUNC_END(composite_rotate)
