/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What instrumented modules begin with: a word for people and for kbuildpy, where the pointers to their counters begin,
 * and the function that libgcov would merge counters of files with. Nothing calls that in a kernel: its address is all
 * that gcc needs.
 */
	.section .modinfo, "a"
	.asciz "kbuildpy_instrumented=coverage"

	.section .gcov_info, "a"
	.balign 8
	.globl __kbuildpy_counters
__kbuildpy_counters:

	.section .rodata, "a"
	.balign 8
	.globl __gcov_merge_add
__gcov_merge_add:
	.quad 0

	.section .note.GNU-stack, ""
