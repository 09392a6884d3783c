/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions that exporter offers to other modules. */

#ifndef EXPORTER_H
#define EXPORTER_H

#include <linux/types.h>

/* A number that no earlier call returned since exporter was loaded. For any module. */
u32 exporter_next_ticket(void);

/* How many tickets were given out. Only for GPL modules that import the namespace EXPORTER. */
u32 exporter_tickets_given(void);

/* Start again with ticket 1. Only for GPL modules. */
void exporter_reset(void);

#endif
