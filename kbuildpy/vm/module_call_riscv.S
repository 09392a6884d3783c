/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for riscv64: as module_call_x86_64.S.

        .option norvc
        .globl  _start
_start:
        mv      s0, sp
        ld      t0, 0(s0)               # argc
        ld      a1, 16(s0)              # argv[1]
        li      t1, 3
        bne     t0, t1, remove

        li      a0, -100                # AT_FDCWD
        li      a2, 0                   # O_RDONLY
        li      a7, 56                  # openat
        ecall
        bltz    a0, print
        ld      a1, 24(s0)              # argv[2]
        li      a2, 0                   # no flags
        li      a7, 273                 # finit_module
        ecall
        j       print

remove: mv      a0, a1
        li      a1, 0x400
        slli    a1, a1, 1               # O_NONBLOCK
        li      a7, 106                 # delete_module
        ecall

print:  neg     a0, a0                  # the errno; its digits go below the stack pointer, the last one first
        addi    a1, s0, -1
        li      t0, '\n'
        sb      t0, 0(a1)
        li      t1, 10
digit:  remu    t0, a0, t1
        divu    a0, a0, t1
        addi    t0, t0, '0'
        addi    a1, a1, -1
        sb      t0, 0(a1)
        bnez    a0, digit

        sub     a2, s0, a1
        li      a0, 1                   # standard output
        li      a7, 64                  # write
        ecall
        li      a0, 0
        li      a7, 93                  # exit
        ecall
