/* exchange_dossier: dossiers, notices and receipts of exchange_verbs.h. */
#include <stdio.h>

#include <sodium.h>

#include "client/dossier_pack.h"
#include "client/evidence.h"
#include "client/mail.h"
#include "client/notice.h"
#include "proto/strict.h"
#include "tests/unit/exchange_act.h"
#include "tests/unit/exchange_verbs.h"

/* Bytes that a title stands for. */
static struct bytes content_of(const char *title, size_t size, struct arena *a)
{
	uint8_t seed[randombytes_SEEDBYTES], *data;

	crypto_generichash(seed, sizeof(seed), (const uint8_t *)title, strlen(title), NULL, 0);
	arena_raise(a, size + 64);
	data = arena_alloc(a, size);
	exchange_must(data != NULL ? RK_OK : RK_ENOMEM, "memory");
	randombytes_buf_deterministic(data, size, seed);
	return bytes_make(data, size);
}

static int queue_dossier(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint64_t *item)
{
	struct dossier_part part = {.name = "data.bin", .media_type = "application/octet-stream"};
	struct dossier_new n = {.nda_id = nda_id, .title = title, .marking = RK__MARKING__CONFIDENTIAL, .parts = &part, .part_count = 1};
	struct act v = act_begin(x, home, true);
	int r = keys_unlock(v.c, KEY_DEVICE);

	part.data = content_of(title, size, v.a);
	return act_end(&v, r == RK_OK ? dossier_send(v.c, v.t, &n, v.a, item) : r);
}

int verb_send(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint8_t env_id[32])
{
	struct outcome out = {0};
	uint64_t item = 0;
	int r;

	act_catch_up(x, home);
	r = queue_dossier(x, home, nda_id, title, size, &item);
	r = act_finish(x, home, r, item, &out);
	memcpy(env_id, out.env_id, 32);
	return r;
}

/* The bytes as a file on disk, as people have them. */
static void write_file(const char *path, struct bytes content)
{
	FILE *f = fopen(path, "wb");

	exchange_need(f != NULL && fwrite(content.data, 1, content.len, f) == content.len && fclose(f) == 0, "a file to send");
}

int verb_send_attached(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint8_t env_id[32])
{
	struct dossier_new n = {.nda_id = nda_id, .title = title, .marking = RK__MARKING__CONFIDENTIAL};
	char path[sizeof(x->folder) + 16], problem[SOURCE_PATH_CHARS];
	struct dossier_pack pack;
	struct outcome out = {0};
	uint64_t item = 0, need;
	struct act v;
	size_t which;
	int r;

	act_catch_up(x, home);
	v = act_begin(x, home, true);
	snprintf(path, sizeof(path), "%s/data.bin", x->folder);
	write_file(path, content_of(title, size, v.a));
	dossier_pack_init(&pack);
	if ((r = dossier_pack_add(&pack, path, problem)) == RK_OK && (r = dossier_pack_plan(&pack, v.c, 0, &which, &need)) == RK_OK &&
	    (r = dossier_pack_read(&pack, v.c, v.a, NULL, NULL, &which)) == RK_OK) {
		n.parts = pack.parts;
		n.part_count = pack.count;
		r = dossier_send(v.c, v.t, &n, v.a, &item);
	}
	r = act_end(&v, r);
	dossier_pack_free(&pack);
	r = act_finish(x, home, r, item, &out);
	memcpy(env_id, out.env_id, 32);
	return r;
}

int verb_send_later(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *title, size_t size, uint64_t *item)
{
	return queue_dossier(x, home, nda_id, title, size, item);
}

/* Both are queued together: what is fetched is asked for once it was signed for. */
static int ask_for(struct exchange *x, unsigned home, const uint8_t env_id[32], uint64_t *pickup, uint64_t *fetch)
{
	struct act v = act_begin(x, home, true);
	Rkl__EnvelopeRecord *record;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK && (r = dossier_check_get(v.c, v.t, record)) == RK_OK &&
	    (r = dossier_pickup(v.c, v.t, record, pickup)) == RK_OK)
		r = dossier_fetch(v.c, v.t, env_id, fetch);
	return act_end(&v, r);
}

int verb_open(struct exchange *x, unsigned home, const uint8_t env_id[32], const char *title, size_t size)
{
	struct act v = act_begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	struct bytes want;
	Rk__Message *m;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK && (r = mail_message(v.c, v.t, record, v.a, &m)) == RK_OK) {
		want = content_of(title, size, v.a);
		if (m->dossier == NULL || m->dossier->n_files != 1 || !bytes_equal(bytes_of(m->dossier->files[0]->data), want))
			r = RK_EINTEGRITY;
	}
	act_drop(&v);
	return r;
}

int verb_get(struct exchange *x, unsigned home, const uint8_t env_id[32], const char *title, size_t size)
{
	uint64_t pickup = 0, fetch = 0;
	struct outcome out;
	int r;

	act_catch_up(x, home);
	if ((r = ask_for(x, home, env_id, &pickup, &fetch)) != RK_OK || (r = link_sync(exchange_client(x, home), NULL)) != RK_OK ||
	    (r = verb_outcome(x, home, pickup, &out)) != RK_OK || (r = verb_outcome(x, home, fetch, &out)) != RK_OK)
		return r;
	return verb_open(x, home, env_id, title, size);
}

int verb_may_get(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = act_begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK)
		r = dossier_check_get(v.c, v.t, record);
	act_drop(&v);
	return r;
}

int verb_pickup(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = act_begin(x, home, true);
	Rkl__EnvelopeRecord *record;
	uint64_t item = 0;
	int r;

	if ((r = mail_load(v.t, env_id, v.a, &record)) == RK_OK)
		r = dossier_pickup(v.c, v.t, record, &item);
	r = act_end(&v, r);
	return act_finish(x, home, r, item, NULL);
}

int verb_note(struct exchange *x, unsigned home, const uint8_t nda_id[32], const char *text)
{
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;
	struct notice_new n = {.nda_id = nda_id, .type = RK__MESSAGE_TYPE__MESSAGE_CONSENT, .notice = &notice};
	struct notice_problem problem;
	struct notice_made made;
	uint64_t item = 0;
	struct act v;
	int r;

	notice.summary = pb_text(text);
	act_catch_up(x, home);
	v = act_begin(x, home, true);
	r = notice_send(v.c, v.t, &n, v.a, &made, &problem, &item);
	r = act_end(&v, r);
	return act_finish(x, home, r, item, NULL);
}

const char *verb_fate(struct exchange *x, unsigned home, const uint8_t env_id[32])
{
	struct act v = act_begin(x, home, false);
	Rkl__EnvelopeRecord *record;
	const char *name = "";

	if (mail_load(v.t, env_id, v.a, &record) == RK_OK)
		name = mail_state_name(record);
	act_drop(&v);
	return name;
}

int verb_receipt(struct exchange *x, unsigned home, const uint8_t env_id[32], int *level)
{
	struct act v = act_begin(x, home, false);
	struct evidence_lack lack = {0};
	struct bytes archive;
	struct receipt out = {0}, again = {0};
	int r = keys_unlock(v.c, KEY_DEVICE);

	*level = RECEIPT_UNPROVEN;
	if (r == RK_OK)
		r = evidence_receipt(v.c, v.t, env_id, true, bytes_make(NULL, 0), v.a, &archive, &out, &lack);
	/* By somebody who has no home, only the printed fingerprint. */
	if (r == RK_OK)
		r = receipt_verify(archive, x->broker.exchange_id, v.a, &again);
	if (r == RK_OK)
		*level = (int)again.level;
	else
		fprintf(stderr, "receipt: %s, lacks %s (%d)\n", errcode_name(r), lack.part != NULL ? lack.part : "", (int)lack.why);
	act_drop(&v);
	return r;
}
