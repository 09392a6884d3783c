// SPDX-License-Identifier: GPL-2.0-only
/* The texts that main.c takes checksums of: the module's data, without any code. */

#include <linux/kernel.h>

#include "composite.h"

const char * const composite_messages[] = {
	"a",
	"abc",
	"composite",
};

const unsigned int composite_message_count = ARRAY_SIZE(composite_messages);
