/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for 32 bits of arm: as module_call_x86_64.S.

        .syntax unified
        .arm
        .globl  _start
_start:
        mov     r6, sp
        ldr     r5, [r6]                @ argc
        ldr     r0, [r6, #8]            @ argv[1]
        cmp     r5, #3
        bne     remove

        mov     r1, #0                  @ O_RDONLY
        mov     r7, #5                  @ open
        svc     #0
        cmp     r0, #0
        blt     print
        ldr     r1, [r6, #12]           @ argv[2]
        mov     r2, #0                  @ no flags
        mov     r7, #376                @ finit_module, which is no number of one instruction
        add     r7, r7, #3
        svc     #0
        b       print

remove: mov     r1, #0x800              @ O_NONBLOCK
        mov     r7, #129                @ delete_module
        svc     #0

print:  rsb     r0, r0, #0              @ the errno; its digits go below the stack pointer, the last one first
        sub     r1, r6, #1
        mov     r2, #'\n'
        strb    r2, [r1]
digit:  mov     r3, #0                  @ the quotient: not every processor divides
less:   cmp     r0, #10
        blt     rest
        sub     r0, r0, #10
        add     r3, r3, #1
        b       less
rest:   add     r0, r0, #'0'
        sub     r1, r1, #1
        strb    r0, [r1]
        movs    r0, r3
        bne     digit

        sub     r2, r6, r1
        mov     r0, #1                  @ standard output
        mov     r7, #4                  @ write
        svc     #0
        mov     r0, #0
        mov     r7, #1                  @ exit
        svc     #0
