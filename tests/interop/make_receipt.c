/*
 * make_receipt FOLDER: receipts and a log for other programs to check: NAME.renkei-receipt, `fingerprint`, and two checkpoints of one log
 * with the proof that the second goes on from the first (`old.note`, `new.note`, `consistency`: base64, a hash a line).
 * make_receipt --measure: sizes of a receipt, and how long verifying takes.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "tests/unit/receipt_kit.h"

#define BUDGET ((size_t)8 << 20)
#define ROUNDS 1000
#define MANY_ACTS 102

static struct arena *arena;

static void write_file(const char *folder, const char *name, struct bytes data)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	if (f == NULL || fwrite(data.data, 1, data.len, f) != data.len || fclose(f) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static void write_receipt(const char *folder, const char *name, struct receipt_kit *k)
{
	char file[64], fingerprint[IDS_ROOT_FINGERPRINT_CHARS];

	snprintf(file, sizeof(file), "%s.renkei-receipt", name);
	write_file(folder, file, receipt_kit_make(k, arena));
	ids_root_fingerprint(fingerprint, k->f.exchange_id);
	write_file(folder, "fingerprint", bytes_str(fingerprint));
}

/* More acts than two digits number: held and resumed again and again. */
static const struct kit_step *many_acts(void)
{
	static struct kit_step steps[MANY_ACTS + 16];
	const struct kit_step *from = receipt_kit_held;
	size_t n = 0;

	while (from->what != KIT_ENVELOPE)
		steps[n++] = *from++;
	for (int i = 4; i < MANY_ACTS; i++) {
		steps[n] = steps[n - 2];
		steps[n].at_ms = steps[n - 1].at_ms + 1;
		n++;
	}
	while (from->what != KIT_END)
		steps[n++] = *from++;
	return steps;
}

static void write_log(const char *folder, struct receipt_kit *k)
{
	struct note old = receipt_kit_checkpoint(k, 5), new = receipt_kit_checkpoint(k, k->edge.size);
	merkle_hash proof[MERKLE_PROOF_MAX];
	char text[MERKLE_PROOF_MAX * 45 + 1];
	size_t n = receipt_kit_consistency(k, 5, k->edge.size, proof), len = 0;

	for (size_t i = 0; i < n; i++) {
		sodium_bin2base64(text + len, sizeof(text) - len, proof[i], 32, sodium_base64_VARIANT_ORIGINAL);
		len += 44;
		text[len++] = '\n';
	}
	write_file(folder, "old.note", bytes_make(old.text, old.len));
	write_file(folder, "new.note", bytes_make(new.text, new.len));
	write_file(folder, "consistency", bytes_make(text, len));
}

static const size_t attachment_lens[] = {0, 300000, 65536};

static void make_all(const char *folder)
{
	struct receipt_kit lodged = {.steps = receipt_kit_lodged}, opened = {.steps = receipt_kit_plain, .has_content = true},
		held = {.steps = receipt_kit_held, .has_many_checkpoints = true, .is_uncosigned = true},
		three = {.steps = receipt_kit_three, .is_three = true, .has_content = true},
		deep = {.steps = receipt_kit_plain, .deep_size = 10 * 1000 * 1000},
		deposit = {.steps = receipt_kit_deposit, .has_content = true}, many = {.steps = many_acts()},
		attached = {.steps = receipt_kit_plain, .has_content = true, .attachment_lens = attachment_lens, .attachment_count = 3};

	write_receipt(folder, "lodged", &lodged);
	write_receipt(folder, "opened", &opened);
	write_receipt(folder, "held", &held);
	write_receipt(folder, "three", &three);
	write_receipt(folder, "deep", &deep);
	write_receipt(folder, "deposit", &deposit);
	write_receipt(folder, "many", &many);
	write_receipt(folder, "attached", &attached);
	write_log(folder, &opened);
}

static void measure(uint64_t size)
{
	struct receipt_kit k = {.steps = receipt_kit_plain, .deep_size = size};
	struct bytes archive = receipt_kit_make(&k, arena);
	struct arena *scratch = arena_new(BUDGET);
	struct timespec began, ended;
	struct receipt out;
	int r = RK_OK;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	for (int i = 0; i < ROUNDS && r == RK_OK; i++) {
		arena_reset(scratch, BUDGET);
		r = receipt_verify(archive, k.f.exchange_id, scratch, &out);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	if (r != RK_OK)
		exit(EXIT_FAILURE);
	printf("two parties, picked up, tree of %llu leaves: %zu bytes; verified in %.2f ms (of %d)\n", (unsigned long long)size, archive.len,
	       ((double)(ended.tv_sec - began.tv_sec) * 1e3 + (double)(ended.tv_nsec - began.tv_nsec) / 1e6) / ROUNDS, ROUNDS);
	arena_free(scratch);
}

int main(int argc, char **argv)
{
	if (argc != 2 || sodium_init() < 0 || (arena = arena_new(16 * BUDGET)) == NULL) {
		fprintf(stderr, "usage: make_receipt FOLDER | --measure\n");
		return EXIT_FAILURE;
	}
	if (strcmp(argv[1], "--measure") == 0) {
		measure(1000);
		measure(10 * 1000 * 1000);
	} else {
		make_all(argv[1]);
	}
	arena_free(arena);
	return EXIT_SUCCESS;
}
