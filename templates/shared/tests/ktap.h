/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Results of a test in KTAP (Documentation/dev-tools/ktap.rst), for a program in C:
 *
 *	ktap_begin();
 *	ktap_ok(fd >= 0, "the device opens");
 *	return ktap_finish();
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdarg.h>
#include <stdio.h>

static int ktap_points;
static int ktap_failed;

static inline void ktap_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("KTAP version 1");
}

/* Print a point that passes if @passed; returns @passed. */
static inline int ktap_ok(int passed, const char *name, ...)
{
	va_list arguments;

	ktap_points++;
	ktap_failed += !passed;
	printf("%sok %d ", passed ? "" : "not ", ktap_points);
	va_start(arguments, name);
	vprintf(name, arguments);
	va_end(arguments);
	putchar('\n');
	return passed;
}

/* Print a point for something that cannot be tested here. */
static inline void ktap_skip(const char *name, const char *reason)
{
	printf("ok %d %s # SKIP %s\n", ++ktap_points, name, reason);
}

/* Print the plan; returns what main() should return. */
static inline int ktap_finish(void)
{
	printf("1..%d\n", ktap_points);
	return ktap_failed != 0;
}

#endif /* KTAP_H */
