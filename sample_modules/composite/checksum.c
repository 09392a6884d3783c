// SPDX-License-Identifier: GPL-2.0-only
/* A checksum in which the order of the characters counts; the rotation is done in assembly. */

#include "composite.h"

u32 composite_checksum(const char *text)
{
	u32 sum = 0;

	for (; *text; text++)
		sum = composite_rotate(sum, 5) ^ (u8)*text;
	return sum;
}
