/*
 * age_file: proto/age as a program, for comparison with `age`: whole files, standard input to standard output.
 *   age_file seal-to IDENTITY-FILE | open-with IDENTITY-FILE | seal-under CODE | open-under CODE
 * An identity file is as age-keygen writes it; `new-identity` prints one.  Exit 1 and the code's name where a file is refused; what had
 * opened before is written out, as a streaming reader would.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "tests/unit/age_kit.h"

#define LOG_N 10

static struct bytes read_all(void)
{
	uint8_t *data = NULL;
	size_t len = 0, n;

	do {
		data = realloc(data, len + (1 << 20));
		if (!data)
			abort();
		n = fread(data + len, 1, 1 << 20, stdin);
		len += n;
	} while (n > 0);
	return bytes_make(data, len);
}

/* The first identity of the file; comments are skipped. */
static bool read_identity(const char *path, uint8_t sk[32])
{
	char line[256];
	FILE *f = fopen(path, "re");
	bool is_found = false;

	while (f && !is_found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = 0;
		is_found = age_kit_identity(line, sk);
	}
	if (f)
		fclose(f);
	return is_found;
}

static int finish(int r, struct bytes out)
{
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
		return 2;
	if (r != RK_OK)
		fprintf(stderr, "%s\n", errcode_name(r));
	return r == RK_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint8_t sk[32], pk[32];
	char text[75];
	struct bytes out;
	int r;

	if (sodium_init() < 0)
		return 2;
	if (argc == 2 && strcmp(verb, "new-identity") == 0) {
		randombytes_buf(sk, sizeof(sk));
		age_identity_text(text, sk);
		return puts(text) < 0;
	}
	if (argc != 3)
		return 2;
	if (strcmp(verb, "seal-under") == 0)
		return finish(RK_OK, age_kit_seal(read_all(), NULL, bytes_str(argv[2]), LOG_N));
	if (strcmp(verb, "open-under") == 0) {
		r = age_kit_open(read_all(), NULL, bytes_str(argv[2]), &out);
		return finish(r, out);
	}
	if (!read_identity(argv[2], sk) || crypto_scalarmult_base(pk, sk) != 0)
		return 2;
	if (strcmp(verb, "seal-to") == 0)
		return finish(RK_OK, age_kit_seal(read_all(), pk, bytes_make(NULL, 0), 0));
	if (strcmp(verb, "open-with") == 0) {
		r = age_kit_open(read_all(), sk, bytes_make(NULL, 0), &out);
		return finish(r, out);
	}
	return 2;
}
