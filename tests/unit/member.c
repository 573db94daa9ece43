#include "tests/unit/member.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/strict.h"

static void die(const char *what, int code)
{
	fprintf(stderr, "member: %s: %s\n", what, errcode_sentence(code, LANG_EN));
	exit(3);
}

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	const char *path = getenv("RENKEI_PASSPHRASE_FILE");
	char line[256] = "";
	FILE *f = path == NULL ? NULL : fopen(path, "r");

	(void)user;
	(void)role;
	(void)confirm;
	if (f == NULL)
		return RK_EPASSPHRASE;
	bool got = fgets(line, sizeof(line), f) != NULL;
	fclose(f);
	if (!got || again)
		return RK_EPASSPHRASE;
	line[strcspn(line, "\n")] = 0;
	*out = sodium_malloc(strlen(line) + 1);
	strcpy(*out, line);
	return RK_OK;
}

void member_open(struct member *m, const char *home)
{
	struct client_options options = {.home = home, .passphrase = passphrase};
	struct txn *txn;
	struct bytes value;
	Rk__Directory *dir;
	Rk__FeedEpoch *epoch;
	uint8_t oh[32];
	int code;

	memset(m, 0, sizeof(*m));
	if (sodium_init() < 0 || (m->arena = arena_new((size_t)64 << 20)) == NULL)
		die("start", RK_ENOMEM);
	if ((code = client_open(&options, &m->client)) != RK_OK)
		die("open home", code);
	if ((code = keys_unlock(m->client, KEY_DEVICE)) != RK_OK)
		die("device key", code);
	if ((code = env_begin(client_env(m->client), false, &txn)) != RK_OK)
		die("store", code);
	if (meta_get(txn, META_ENDPOINT, &value) != RK_OK || value.len >= sizeof(m->endpoint))
		die("endpoint", RK_ENOTFOUND);
	memcpy(m->endpoint, value.data, value.len);
	if (meta_get(txn, META_BROKER_PK, &value) != RK_OK || value.len != 32)
		die("broker key", RK_ENOTFOUND);
	memcpy(m->broker_pk, value.data, 32);
	if (meta_get(txn, META_WRITER, &value) == RK_OK && value.len == 8)
		memcpy(m->writer_epoch, value.data, 8);
	if ((code = book_directory(m->client, txn, m->arena, &dir, oh)) != RK_OK)
		die("directory", code);
	m->directory_serial = dir->serial;
	if ((code = book_epoch(m->client, txn, 0, m->arena, &epoch, oh)) != RK_OK)
		die("epoch", code);
	m->epoch = epoch->n;
	if ((code = book_epoch_key(m->client, txn, epoch->n, m->ek)) != RK_OK)
		die("epoch key", code);
	env_abort(txn);
	keys_curve_pk(m->client, m->curve_pk);
}

void member_close(struct member *m)
{
	sodium_memzero(m->ek, sizeof(m->ek));
	client_close(m->client);
	arena_free_wiped(m->arena);
}

struct rawpeer *member_connect(const struct member *m)
{
	struct rawpeer *p = rawpeer_new(m->endpoint, m->broker_pk, m->curve_pk, keys_curve_sk(m->client));
	if (p == NULL)
		die("connect", RK_ENOMEM);
	return p;
}

static void seal(struct member *m, int64_t created_at, const Rk__Message *message, struct arena *arena, struct member_post *out)
{
	Rk__EnvelopeHeader e = RK__ENVELOPE_HEADER__INIT;
	struct envelope_random random;
	struct envelope_wire wire;
	struct bytes packed;
	int code;

	if ((code = STRICT_PACK(message, arena, &packed)) != RK_OK)
		die("pack", code);
	e.kind = RK__KIND__FEED;
	e.exchange_id = pb_of(bytes_make(client_exchange_id(m->client), 32));
	e.sender_org = pb_of(bytes_make(client_org_id(m->client), 16));
	e.sender_device = pb_of(bytes_make(client_device_id(m->client), 16));
	e.created_at = created_at;
	e.expires_at = created_at + (int64_t)90 * 86400000;
	e.channel = RK__CHANNEL__OFFER;
	e.feed_epoch = m->epoch;
	e.post_op = RK__POST_OP__NEW;
	e.post_version = 1;
	e.directory_serial = m->directory_serial;
	envelope_random(&random);
	memcpy(out->nonce16, random.nonce16, 16);
	code = envelope_seal(&e, packed, m->ek, NULL, 0, keys_sign_sk(m->client, KEY_DEVICE), &random, arena, &wire);
	if (code != RK_OK)
		die("seal", code);
	out->head = wire.head;
	out->body = wire.body;
	out->signed_head = rk__signed__unpack(arena_allocator(arena), wire.head.len, wire.head.data);
	if (out->signed_head == NULL)
		die("head", RK_ENOMEM);
}

void member_seal(struct member *m, int64_t created_at, size_t body_bytes, struct arena *arena, struct member_post *out)
{
	Rk__Message message = RK__MESSAGE__INIT;
	/* body = 16 tag + 32 salt + message padded to 512 with at least a byte */
	size_t text_len = body_bytes > 700 ? (body_bytes - 48) / 512 * 512 - 64 : 100;
	char *text = arena_alloc(arena, text_len + 1);

	memset(text, 'x', text_len);
	text[text_len] = 0;
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	message.text = text;
	seal(m, created_at, &message, arena, out);
}

void member_seal_titled(struct member *m, int64_t created_at, const char *title, struct arena *arena, struct member_post *out)
{
	char lang[] = "en";
	Rk__Message message = RK__MESSAGE__INIT;
	Rk__Post post = RK__POST__INIT;
	Rk__PostText text = RK__POST_TEXT__INIT, *texts[] = {&text};

	text.lang = lang;
	text.title = (char *)(uintptr_t)title;
	post.type = RK__CHANNEL__OFFER;
	post.texts = texts;
	post.n_texts = 1;
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_POST;
	message.post = &post;
	seal(m, created_at, &message, arena, out);
}
