// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process 1 of a guest: makes the system calls that /plan names and reports what came of each.
 *
 * /plan is a sequence of strings, each ended by a NUL: the name of a call and its operands. Reports go to the kernel's
 * log, so that they stand in order with the kernel's own lines.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_FILES 64

static int kmsg;
static struct {
	const char *path;
	int fd;
} files[MOST_FILES];

static void report(const char *what, const char *text)
{
	char line[512];
	int size = snprintf(line, sizeof(line), "kbuildpy: %s %s\n", what, text);

	/* (not dprintf(), which would ask for the position in the file, and there is none) */
	if (write(kmsg, line, size) != size)
		reboot(RB_POWER_OFF);
}

static void report_status(const char *what, long result)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", result < 0 ? errno : 0);
	report(what, number);
}

static char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	size_t room = 1 << 16;
	char *contents = malloc(room);
	ssize_t count;

	*size = 0;
	while (fd >= 0 && (count = read(fd, contents + *size, room - *size)) > 0) {
		*size += count;
		if (*size == room)
			contents = realloc(contents, room *= 2);
	}
	close(fd);
	return contents;
}

/* In a process of its own, which the kernel may kill. */
static void load(const char *path, const char *args)
{
	int status;

	if (fork() == 0) {
		size_t size;
		char *module = read_file(path, &size);

		report_status("load", syscall(SYS_init_module, module, size, args));
		_exit(0);
	}
	wait(&status);
	if (!WIFEXITED(status))
		report("load", "-1");
}

static void unload(const char *name, const char *flags)
{
	report_status("unload", syscall(SYS_delete_module, name, atoi(flags)));
}

/* Who does it goes on with it; what is to come has half a second to get that far. */
static void begin(const char *what, const char *name, const char *operand)
{
	if (fork() == 0) {
		size_t size;
		char *module;
		long result;

		if (*what == 'L') {
			module = read_file(name, &size);
			result = syscall(SYS_init_module, module, size, operand);
		} else {
			result = syscall(SYS_delete_module, name, atoi(operand));
		}
		_exit(result < 0 ? errno : 0);
	}
	usleep(500000);
	report(what, "0");
}

/* Let what was begun end: the module waits for its parameter "come", or "go". */
static void finish(const char *name)
{
	char number[16], path[128];
	size_t size;
	char *state;
	int status, fd;

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	state = read_file(path, &size);
	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", name, *state == 'c' ? "come" : "go");
	free(state);
	fd = open(path, O_WRONLY);
	if (write(fd, "1", 1) != 1) {
		report_status("wait", -1);
		return;
	}
	close(fd);
	wait(&status);
	snprintf(number, sizeof(number), "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	report("wait", number);
}

static void open_file(const char *path)
{
	int i = 0, fd = open(path, O_RDONLY);

	report_status("open", fd);
	if (fd < 0)
		return;
	while (files[i].path)
		i++;
	files[i].path = path;
	files[i].fd = fd;
}

static void close_file(const char *path)
{
	int i = 0;

	while (files[i].path && strcmp(files[i].path, path))
		i++;
	report_status("close", files[i].path ? close(files[i].fd) : close(-1));
	files[i].path = "";
}

static void print(const char *path)
{
	size_t size;
	char *text = read_file(path, &size), *line;

	text[size] = '\0';
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		report("line", line);
	free(text);
	report("print", "0");
}

int main(void)
{
	size_t size;
	char *plan, *next;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY);
	plan = read_file("/plan", &size);
	report("begin", "");
	for (next = plan; next < plan + size;) {
		const char *words[3];
		int i, count = strchr("luLU", *next) ? 3 : 2;

		for (i = 0; i < count; i++, next += strlen(next) + 1)
			words[i] = next;
		switch (*words[0]) {
		case 'l':
			load(words[1], words[2]);
			break;
		case 'u':
			unload(words[1], words[2]);
			break;
		case 'L':
		case 'U':
			begin(words[0], words[1], words[2]);
			break;
		case 'w':
			finish(words[1]);
			break;
		case 'o':
			open_file(words[1]);
			break;
		case 'c':
			close_file(words[1]);
			break;
		case 'p':
			print(words[1]);
			break;
		}
	}
	report("end", "");
	reboot(RB_POWER_OFF);
	return 0;
}
