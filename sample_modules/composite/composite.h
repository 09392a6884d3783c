/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this module know about each other. */

#ifndef COMPOSITE_H
#define COMPOSITE_H

#include <linux/linkage.h>
#include <linux/types.h>

/* messages.c */
extern const char * const composite_messages[];
extern const unsigned int composite_message_count;

/* checksum.c */
u32 composite_checksum(const char *text);

/* rotate.S */
asmlinkage u32 composite_rotate(u32 value, u32 count);

#endif
