// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PKCS#11 library around another one (TOKEN_LIBRARY), that notes each signature and each login by a byte in the file
 * TOKEN_COUNT, and takes TOKEN_DELAY microseconds longer for a signature, as a token in a network does. With TOKEN_NOISE
 * it prints a line for each. TOKEN_HANG is "s" (a signature) or "l" (a login) and a number: from that one in TOKEN_COUNT
 * on they never return, nor does the end of the library then.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv;
typedef rv (*login_call)(unsigned long, unsigned long, unsigned char *, unsigned long);
typedef rv (*sign_call)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *);

/* CK_FUNCTION_LIST of PKCS#11 2.40, section 3.6: a version of two bytes, 68 functions. */
struct functions {
	unsigned char version[2];
	void *call[68];
};

enum { FINALIZE = 1, GET_FUNCTION_LIST = 3, LOGIN = 18, SIGN = 43 };

static struct functions own;
static sign_call inner_sign;
static login_call inner_login;
static rv (*inner_finalize)(void *);
static int hangs;

static int note(const char *what)
{
	const char *count = getenv("TOKEN_COUNT");
	int file = count ? open(count, O_RDWR | O_APPEND | O_CREAT, 0600) : -1;
	int failed = count && (file < 0 || write(file, what, 1) != 1);
	const char *hang = getenv("TOKEN_HANG");
	char noted[4096];
	long size = file >= 0 ? pread(file, noted, sizeof(noted), 0) : 0;
	int same = 0;

	while (size > 0)
		same += noted[--size] == *what;
	if (file >= 0)
		close(file);
	if (hang && *hang == *what && same >= atoi(hang + 1))
		for (hangs = 1;;)
			pause();
	return failed;
}

static rv finalize(void *reserved)
{
	while (hangs)
		pause();
	return inner_finalize(reserved);
}

static rv login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length)
{
	return note("l") ? 5 : inner_login(session, user, pin, length); /* CKR_GENERAL_ERROR */
}

static rv sign(unsigned long session, unsigned char *data, unsigned long length, unsigned char *signature,
	       unsigned long *size)
{
	const char *delay = getenv("TOKEN_DELAY");

	/* (without a buffer, the size is asked for) */
	if (signature && note("s"))
		return 5;
	if (signature && getenv("TOKEN_NOISE") && write(1, "{\"signature\": \"\"}\n", 18) != 18)
		return 5;
	if (signature && delay)
		usleep((useconds_t)atoi(delay));
	return inner_sign(session, data, length, signature, size);
}

rv C_GetFunctionList(struct functions **list)
{
	void *library = dlopen(getenv("TOKEN_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
	rv (*get)(struct functions **) = library ? (rv (*)(struct functions **))dlsym(library, "C_GetFunctionList") : 0;
	struct functions *inner;

	if (!get || get(&inner))
		return 5;
	memcpy(&own, inner, sizeof(own));
	inner_sign = (sign_call)own.call[SIGN];
	own.call[SIGN] = (void *)sign;
	inner_login = (login_call)own.call[LOGIN];
	own.call[LOGIN] = (void *)login;
	inner_finalize = (rv (*)(void *))own.call[FINALIZE];
	own.call[FINALIZE] = (void *)finalize;
	own.call[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
	*list = &own;
	return 0;
}
