/* SPDX-License-Identifier: GPL-2.0-only */
// The guest's program that loads and removes modules, for arm64: as module_call_x86_64.S.

        .globl  _start
_start:
        mov     x10, sp
        ldr     x9, [x10]               // argc
        ldr     x1, [x10, #16]          // argv[1]
        cmp     x9, #3
        b.ne    remove

        mov     x0, #-100               // AT_FDCWD
        mov     x2, #0                  // O_RDONLY
        mov     x8, #56                 // openat
        svc     #0
        tbnz    w0, #31, print
        ldr     x1, [x10, #24]          // argv[2]
        mov     x2, #0                  // no flags
        mov     x8, #273                // finit_module
        svc     #0
        b       print

remove: mov     x0, x1
        mov     x1, #0x800              // O_NONBLOCK
        mov     x8, #106                // delete_module
        svc     #0

print:  neg     w0, w0                  // the errno; its digits go below the stack pointer, the last one first
        sub     x1, x10, #1
        mov     w3, #'\n'
        strb    w3, [x1]
        mov     w4, #10
digit:  udiv    w5, w0, w4
        msub    w3, w5, w4, w0
        add     w3, w3, #'0'
        strb    w3, [x1, #-1]!
        mov     w0, w5
        cbnz    w0, digit

        sub     x2, x10, x1
        mov     x0, #1                  // standard output
        mov     x8, #64                 // write
        svc     #0
        mov     x0, #0
        mov     x8, #93                 // exit
        svc     #0
