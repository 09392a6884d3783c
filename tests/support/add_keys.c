// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adds the certificates /certificates/0, 1, ... to the kernel's secondary keyring, as keyctl(1) would
 * (padd asymmetric "" %:.secondary_trusted_keys), says what came of each, and goes on as /init.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int secondary_keyring(void)
{
	unsigned int serial = 0;
	char line[256];
	FILE *keys;

	mount("proc", "/proc", "proc", 0, NULL);
	keys = fopen("/proc/keys", "r");
	while (keys && fgets(line, sizeof(line), keys))
		if (strstr(line, " .secondary_trusted_keys:"))
			sscanf(line, "%x", &serial);
	if (keys)
		fclose(keys);
	umount("/proc");
	return serial;
}

static int add(int keyring, const char *path)
{
	static char certificate[8192];
	FILE *file = fopen(path, "r");
	size_t length;

	if (!file)
		return -1;
	length = fread(certificate, 1, sizeof(certificate), file);
	fclose(file);
	return syscall(SYS_add_key, "asymmetric", "", certificate, length, keyring) < 0 ? errno : 0;
}

int main(int argc, char **argv)
{
	int keyring = secondary_keyring();

	for (int number = 0;; number++) {
		char path[32];
		int error;

		snprintf(path, sizeof(path), "/certificates/%d", number);
		error = add(keyring, path);
		if (error < 0)
			break;
		printf("certificate %d: errno %d\n", number, error);
	}
	fflush(stdout);
	execv("/init", argv);
	return 1;
}
