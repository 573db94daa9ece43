/* show: one way of printing a post. */
#include "client/cli/show.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/out.h"
#include "proto/strict.h"

#define READ_ARENA_BYTES ((size_t)4 * 1024 * 1024)

const char *show_lang(const struct cli *c)
{
	return c->lang == LANG_JA ? "ja" : "en";
}

const char *show_post_status(Rkl__PostStatus status)
{
	switch (status) {
	case RKL__POST_STATUS__LIVE: return "live";
	case RKL__POST_STATUS__WITHDRAWN: return "withdrawn";
	case RKL__POST_STATUS__EXPIRED: return "expired";
	default: return "sealed";
	}
}

const char *show_post_title(struct cli *c, const struct post_view *v)
{
	if (v->post)
		return post_text(v->post, show_lang(c))->title;
	switch (v->status) {
	case RKL__POST_STATUS__WITHDRAWN: return text(TEXT_POST_IS_WITHDRAWN, c->lang);
	case RKL__POST_STATUS__EXPIRED: return text(TEXT_POST_IS_EXPIRED, c->lang);
	default: return text(TEXT_POST_IS_SEALED, c->lang);
	}
}

static json_t *topics_json(const Rk__Post *post)
{
	json_t *list = json_array();
	for (size_t i = 0; i < post->n_codes; i++)
		if (post->codes[i]->scheme == RK__CODE_SCHEME__TOPIC)
			json_array_append_new(list, json_string(post->codes[i]->value));
	return list;
}

static void content_json(struct cli *c, json_t *o, const Rk__Post *post)
{
	const Rk__PostText *t = post_text(post, show_lang(c));
	out_set_text(o, "title", t->title);
	out_set_text(o, "summary", t->summary);
	out_set_text(o, "language", t->lang);
	json_object_set_new(o, "topics", topics_json(post));
	if (post->closes_at)
		out_set_time(o, "deadline", post->closes_at);
	else
		out_set_text(o, "deadline", *post->deadline_note ? post->deadline_note : NULL);
	out_set_text(o, "source", *post->source_url ? post->source_url : NULL);
	out_set_text(o, "external_id", *post->external_id ? post->external_id : NULL);
}

json_t *show_post_json(struct cli *c, struct txn *txn, const struct post_view *v, struct arena *a)
{
	const Rkl__PostRecord *r = v->record;
	const char *type = cli_channel_name((Rk__Channel)r->channel);
	json_t *o = json_object();
	if (!o)
		return NULL;
	out_set_id(o, "post_id", bytes_of(r->post_id));
	out_set_text(o, "type", type);
	out_set_text(o, "status", show_post_status(v->status));
	if (v->post)
		content_json(c, o, v->post);
	else
		out_set_text(o, "title", NULL);
	out_set_text(o, "author", book_org_name(c->client, txn, r->sender_org.data, c->lang, a));
	out_set_id(o, "org_id", bytes_of(r->sender_org));
	out_set_bool(o, "mine", v->mine);
	out_set_text(o, "stream", type);
	out_set_number(o, "seq", (int64_t)r->newest_seq);
	out_set_number(o, "version", r->version);
	out_set_time(o, "first_posted_at", r->first_time_ms);
	out_set_time(o, "time", r->time_ms);
	out_set_time(o, "expires_at", r->expires_at);
	return o;
}

int show_read(struct cli *c, int (*fn)(struct cli *, struct txn *, struct arena *, void *), void *user)
{
	struct arena *a = arena_new(READ_ARENA_BYTES);
	struct txn *txn = NULL;
	if (!a)
		return RK_ENOMEM;
	int rc = env_begin(client_env(c->client), false, &txn);
	if (rc == RK_OK)
		rc = fn(c, txn, a, user);
	env_abort(txn);
	arena_free_wiped(a);
	return rc;
}

int show_find_post(struct cli *c, struct txn *txn, const char *wanted, uint8_t post_id[32])
{
	int rc = cli_find_id(txn, C_POST, wanted, post_id, 32);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_POST_LIST, TEXT_NO_SUCH_POST, wanted);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_LONGER_ID, TEXT_SEVERAL_POSTS, wanted);
	if (rc == RK_EUSAGE)
		return cli_refuse(c, rc, TEXT_HINT_POST_LIST, TEXT_NO_POST_ID, wanted);
	return rc;
}

const char *show_enrol_name(const Rk__Enrol *e, enum lang lang)
{
	for (size_t i = 0; i < e->n_names; i++)
		if (strncmp(e->names[i]->lang, lang == LANG_JA ? "ja" : "en", 2) == 0)
			return e->names[i]->name;
	return e->names[0]->name;
}

enum text_id show_receipt_level(const struct receipt *x)
{
	switch (x->level) {
	case RECEIPT_LODGED:
		return x->is_deposit ? TEXT_LEVEL_DEPOSITED : TEXT_LEVEL_LODGED;
	case RECEIPT_PICKED_UP:
		return TEXT_LEVEL_PICKED_UP;
	case RECEIPT_OPENED:
		return x->is_deposit ? TEXT_LEVEL_DEPOSIT_OPENED : TEXT_LEVEL_OPENED;
	default:
		return TEXT_NONE;
	}
}
