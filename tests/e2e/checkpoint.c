/*
 * checkpoint: a signed note as the broker's log signs it, made with the keys of its folder, for scenarios in which somebody still has one.
 *
 *   checkpoint DATA EXCHANGE_ID NUMBER SIZE    prints the note of log NUMBER at that size; its root is nobody's
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/secrets.h"
#include "proto/errcode.h"
#include "proto/note.h"

int main(int argc, char **argv)
{
	struct checkpoint last = {.root = {1}};
	uint8_t exchange_id[32];
	struct secrets keys;
	struct note note;
	size_t len;

	if (argc != 5 || sodium_init() < 0 ||
	    sodium_hex2bin(exchange_id, sizeof(exchange_id), argv[2], strlen(argv[2]), NULL, &len, NULL) != 0 || len != 32 ||
	    secrets_load(argv[1], &keys, NULL) != RK_OK) {
		fprintf(stderr, "usage: checkpoint DATA EXCHANGE_ID NUMBER SIZE\n");
		return 2;
	}
	note_origin(last.origin, exchange_id, (unsigned)atoi(argv[3]));
	last.size = strtoull(argv[4], NULL, 10);
	note_sign(&note, &last, keys.log_sk);
	secrets_wipe(&keys);
	return fwrite(note.text, 1, note.len, stdout) == note.len && fflush(stdout) == 0 ? 0 : 1;
}
