/*
 * The two check characters make 28 characters a word of a Reed-Solomon code over the field of 32 elements: their sum is zero, and so is
 * the sum of each times x to the power of its place.  One wrong character leaves its difference as the first sum, and as the second that
 * times the power of its place.
 */
#include "client/recovery.h"

#include <sodium.h>

#define DATA_CHARS 26u
#define CHARS 28u
#define GROUP 4u

static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

_Static_assert(sizeof(alphabet) - 1 == 32 && CHARS + CHARS / GROUP == RECOVERY_CODE_CHARS, "layout");

/* Times x, modulo x^5 + x^2 + 1. */
static uint8_t times_x(uint8_t a)
{
	return (uint8_t)((a << 1 & 31) ^ (a & 16 ? 5 : 0));
}

/* Place 0 is the last one, of power 1: Horner's rule. */
static void sums(const uint8_t v[CHARS], uint8_t *plain, uint8_t *weighted)
{
	*plain = *weighted = 0;
	for (unsigned i = 0; i < CHARS; i++) {
		*plain ^= v[i];
		*weighted = times_x(*weighted) ^ v[i];
	}
}

static void write_code(char code[RECOVERY_CODE_CHARS], const uint8_t v[CHARS])
{
	char *at = code;

	for (unsigned i = 0; i < CHARS; i++) {
		if (i > 0 && i % GROUP == 0)
			*at++ = '-';
		*at++ = alphabet[v[i]];
	}
	*at = 0;
}

/* The last two so that both sums vanish: with a, b the sums of the rest, c + d = a and c x + d = b, hence c (x + 1) = a + b. */
static void add_checks(uint8_t v[CHARS])
{
	uint8_t a, b;

	v[26] = v[27] = 0;
	sums(v, &a, &b);
	while ((uint8_t)(times_x(v[26]) ^ v[26]) != (uint8_t)(a ^ b))
		v[26]++;
	v[27] = v[26] ^ a;
}

void recovery_new(char code[RECOVERY_CODE_CHARS])
{
	uint8_t v[CHARS];

	for (unsigned i = 0; i < DATA_CHARS; i++)
		v[i] = (uint8_t)randombytes_uniform(32);
	add_checks(v);
	write_code(code, v);
	sodium_memzero(v, sizeof(v));
}

static bool take_chars(const char *text, uint8_t v[CHARS])
{
	unsigned n = 0;

	for (; *text; text++) {
		char ch = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		const char *at = strchr(alphabet, ch);

		if (ch == '-' || ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n')
			continue;
		if (!at || n == CHARS)
			return false;
		v[n++] = (uint8_t)(at - alphabet);
	}
	return n == CHARS;
}

/* The group of the one wrong character, or 0: the second sum is the first times the power of its place. */
static unsigned wrong_group(uint8_t plain, uint8_t weighted)
{
	if (plain == 0)
		return 0;
	for (unsigned place = 0; place < CHARS; place++, plain = times_x(plain))
		if (plain == weighted)
			return (CHARS - 1 - place) / GROUP + 1;
	return 0;
}

int recovery_read(const char *text, char code[RECOVERY_CODE_CHARS], unsigned *group)
{
	uint8_t v[CHARS] = {0}, plain = 0, weighted = 0;
	int r = take_chars(text, v) ? RK_OK : RK_MALFORMED;

	*group = 0;
	code[0] = 0;
	if (r == RK_OK) {
		sums(v, &plain, &weighted);
		r = plain == 0 && weighted == 0 ? RK_OK : RK_EPASSPHRASE;
	}
	if (r == RK_OK)
		write_code(code, v);
	else if (r == RK_EPASSPHRASE)
		*group = wrong_group(plain, weighted);
	sodium_memzero(v, sizeof(v));
	return r;
}
