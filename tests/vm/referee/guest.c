// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's process 1: does what /steps says, one line each, and reports into the kernel log.
 *
 *   load NUMBER KEEP CALL [ARGUMENTS]   load /m/NUMBER by "finit", "init" or "packed", remove it again unless KEEP is 1
 *   unload NAME
 *   enforce                             insist on signatures, for ever
 *
 * A child does each call, so that one that the kernel kills, or hangs in, is seen; after that the kernel is not to be
 * trusted, and the guest powers off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int kmsg;

static void report(const char *format, ...)
{
	char line[900];
	va_list values;
	int length = sprintf(line, "referee: ");

	va_start(values, format);
	length += vsnprintf(line + length, sizeof(line) - length, format, values);
	va_end(values);
	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	write(kmsg, line, length);
}

static size_t text_of(const char *path, char *text, size_t room)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? 0 : read(file, text, room - 1);

	if (file >= 0)
		close(file);
	text[length > 0 ? length : 0] = 0;
	return length > 0 ? length : 0;
}

/* The first line: the latest module comes first. */
static void latest_module(char *line, size_t room)
{
	text_of("/proc/modules", line, room);
	line[strcspn(line, "\n")] = 0;
}

/* A name may have blanks in it: after it come two numbers. */
static size_t name_length(const char *line)
{
	const char *blank;
	unsigned int size;
	int references;

	for (blank = strchr(line, ' '); blank; blank = strchr(blank + 1, ' '))
		if (sscanf(blank, " %u %d ", &size, &references) == 2)
			return blank - line;
	return strlen(line);
}

static const char *sysfs_name(const char *name)
{
	static char changed[512];
	char *slash;

	strcpy(changed, name);
	while ((slash = strchr(changed, '/')))
		*slash = '!';
	return changed;
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static int load_file(const char *path, const char *call, const char *arguments)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat state;
	char *contents;

	if (file < 0 || fstat(file, &state))
		return 255;
	if (!strcmp(call, "packed")) /* MODULE_INIT_COMPRESSED_FILE: the kernel unpacks it */
		return syscall(SYS_finit_module, file, arguments, 4) ? errno : 0;
	if (!strcmp(call, "finit"))
		return syscall(SYS_finit_module, file, arguments, 0) ? errno : 0;
	contents = malloc(state.st_size + 1);
	if (read(file, contents, state.st_size) != state.st_size)
		return 255;
	return syscall(SYS_init_module, contents, state.st_size, arguments) ? errno : 0;
}

/* What the call answers; powers off if it does not. */
static int in_child(const char *verb, const char *what, const char *call, const char *arguments)
{
	int status, tenths;
	/* of an exit status there are eight bits, of ENOTSUPP (524) more */
	static int *answer;
	pid_t child;

	if (!answer)
		answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (!child) {
		*answer = call ? load_file(what, call, arguments) :
			syscall(SYS_delete_module, what, O_NONBLOCK) ? errno : 0;
		_exit(0);
	}
	for (tenths = 0; waitpid(child, &status, WNOHANG) == 0; tenths++) {
		if (tenths == 20000) {
			report("died %s hangs", verb);
			power_off();
		}
		/* most answer at once: do not sleep for longer than that takes */
		usleep(500);
	}
	if (WIFSIGNALED(status)) {
		report("died %s signal %d", verb, WTERMSIG(status));
		power_off();
	}
	return *answer;
}

static int tainted(void)
{
	char mask[64];

	text_of("/proc/sys/kernel/tainted", mask, sizeof(mask));
	return atoi(mask);
}

static void unload(const char *name)
{
	report("unload %s", name);
	report("unloaded %d", in_child("unload", name, NULL, NULL));
	report("left %d", tainted());
}

static void load(char *line)
{
	char *number = strsep(&line, " "), *keep = strsep(&line, " "), *call = strsep(&line, " ");
	char path[600], before[512], after[512], taint[64], *name;
	int status;

	sprintf(path, "/m/%s", number);
	latest_module(before, sizeof(before));
	report("load %s", number);
	status = in_child("load", path, call, line ? line : "");
	report("status %d", status);
	report("tainted %d", tainted());
	if (status)
		return;
	latest_module(after, sizeof(after));
	report("line %s", after);
	name = strndup(after, name_length(after));
	snprintf(path, sizeof(path), "/sys/module/%s/taint", sysfs_name(name));
	text_of(path, taint, sizeof(taint));
	taint[strcspn(taint, "\n")] = 0;
	report("taint %s", taint);
	if (*keep == '0')
		unload(name);
	free(name);
}

static void enforce(void)
{
	int file = open("/sys/module/module/parameters/sig_enforce", O_WRONLY | O_CLOEXEC);

	write(file, "1", 1);
	close(file);
}

int main(void)
{
	char line[4096];
	FILE *steps;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	report("tainted %d", tainted());
	steps = fopen("/steps", "re");
	while (fgets(line, sizeof(line), steps)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "load ", 5))
			load(line + 5);
		else if (!strncmp(line, "unload ", 7))
			unload(line + 7);
		else if (!strcmp(line, "enforce"))
			enforce();
	}
	report("done");
	power_off();
}
