// SPDX-License-Identifier: GPL-2.0
#define HEIR_GPL
#include "heir.c"
