#include "tests/unit/home_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/days.h"
#include "client/forms.h"
#include "client/own.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define ZONE "Asia/Tokyo"

int64_t home_now_ms = FIXED_TIME_MS;

static int64_t now_ms(void)
{
	return home_now_ms;
}

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	(void)user;
	(void)role;
	(void)confirm;
	if (again)
		return RK_EPASSPHRASE;
	*out = sodium_malloc(8);
	if (*out == NULL)
		return RK_ENOMEM;
	strcpy(*out, "horse");
	return RK_OK;
}

/* ---- the home */

static void take(struct home *h, enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *m)
{
	struct txn *t;
	struct bytes wire;

	assert_int_equal(object_make(kind, h->f.exchange_id, sk, m, h->a, &wire), RK_OK);
	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(book_take(h->client, t, kind, wire, home_now_ms), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void take_wire(struct home *h, enum object_kind kind, struct bytes wire)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(book_take(h->client, t, kind, wire, home_now_ms), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static int by_org(const void *a, const void *b)
{
	return memcmp((*(Rk__Org *const *)a)->org_id.data, (*(Rk__Org *const *)b)->org_id.data, 16);
}

/* The directory of fixed_kit with a fourth row: ours. */
static Rk__Directory *directory(struct home *h)
{
	Rk__Directory *d = fixed_directory(&h->f, h->a), *like = fixed_directory(&h->f, h->a);
	Rk__Org *row = like->orgs[1];
	uint8_t pk[32];

	keys_sign_pk(h->client, KEY_ORG, pk);
	ids_sha256(h->org_fp, BYTES_OF(pk));
	row->org_id = pb_of(bytes_make(h->org_id, 16));
	memcpy(row->org_pk.data, pk, 32);
	row->names[0]->name = (char *)arena_copy(h->a, "Self", 4);
	d->orgs = fixed_alloc(h->a, (FIXED_ORGS + 1) * sizeof(*d->orgs));
	for (int i = 0; i < FIXED_ORGS; i++)
		d->orgs[i] = like->orgs[i];
	d->orgs[1] = fixed_directory(&h->f, h->a)->orgs[1];
	d->orgs[FIXED_ORGS] = row;
	d->n_orgs = FIXED_ORGS + 1;
	qsort(d->orgs, d->n_orgs, sizeof(*d->orgs), by_org);
	return d;
}

static void take_book(struct home *h)
{
	struct bytes wire;

	take(h, OBJECT_KIND_CHARTER, h->f.root.sk, &fixed_charter(&h->f, h->a)->base);
	take(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &directory(h)->base);
	for (int i = 0; i < FIXED_ORGS; i++) {
		take(h, OBJECT_KIND_ORG_DEVICES, h->f.orgs[i].org.sk, &fixed_org_devices(&h->f, i, h->a)->base);
		take(h, OBJECT_KIND_DEVICE_KX, h->f.orgs[i].device.sk, &fixed_device_kx(&h->f, i, h->a)->base);
	}
	assert_int_equal(own_make_devices(h->client, h->f.exchange_id, h->org_id, "desk", h->a, &wire), RK_OK);
	take_wire(h, OBJECT_KIND_ORG_DEVICES, wire);
	assert_int_equal(own_make_kx(h->client, h->f.exchange_id, h->a, &wire), RK_OK);
	take_wire(h, OBJECT_KIND_DEVICE_KX, wire);
}

void home_open(struct home *h)
{
	struct client_options options = {.passphrase = passphrase, .now_ms = now_ms};
	struct key_new cheap = {.mem_mib = 64, .ops = 2}, open = {.no_passphrase = true};
	struct txn *t;

	memset(h, 0, sizeof(*h));
	home_now_ms = FIXED_TIME_MS;
	h->control_seq = 1;
	fixed_init(&h->f);
	assert_non_null(h->a = arena_new((size_t)64 << 20));
	snprintf(h->folder, sizeof(h->folder), "/tmp/renkei-home.XXXXXX");
	assert_non_null(mkdtemp(h->folder));
	assert_int_equal(rmdir(h->folder), 0);
	options.home = h->folder;
	assert_int_equal(client_create(&options, &h->client), RK_OK);
	assert_int_equal(keys_create(h->client, KEY_DEVICE, &open), RK_OK);
	assert_int_equal(keys_create(h->client, KEY_ORG, &cheap), RK_OK);
	fixed_bytes(h->org_id, 16, "home org");
	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(own_write_meta(h->client, t, h->f.exchange_id, h->org_id, FIXED_ENDPOINT, h->f.broker.pk, CLIENT_JOINED), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	take_book(h);
}

void home_close(struct home *h)
{
	char command[128];

	client_close(h->client);
	arena_free(h->a);
	snprintf(command, sizeof(command), "rm -rf %s", h->folder);
	assert_int_equal(system(command), 0);
}

const uint8_t *home_org(const struct home *h, int org)
{
	return org == HOME_SELF ? h->org_id : h->f.orgs[org].org_id;
}

void home_deliver(struct home *h, home_handler *handler, struct bytes object, struct bytes wraps, struct bytes body, bool logged)
{
	struct delivery d = {.stream = stream_mailbox(h->org_id), .seq = ++h->seq, .time_ms = home_now_ms, .control_seq = h->control_seq,
	                     .logged = logged, .object = object, .wraps = wraps, .body = body};
	struct txn *t;

	if (logged)
		d.log_index = ++h->log_index;
	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	h->code = handler(h->client, t, &d);
	assert_int_equal(h->code, RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

void home_expel(struct home *h, int org, uint64_t control_seq)
{
	struct delivery d = {.stream = stream_control(), .seq = control_seq, .kind = RK__ENTRY_KIND__ENTRY_DIRECTORY,
	                     .time_ms = home_now_ms};
	Rk__Directory *next = directory(h), *newest;
	uint8_t oh[32];
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(book_directory(h->client, t, h->a, &newest, oh), RK_OK);
	next->serial = newest->serial + 1;
	next->prev_oh = pb_of(BYTES_OF(oh));
	next->issued_at = newest->issued_at + 1;
	for (size_t i = 0; i < next->n_orgs; i++) {
		if (memcmp(next->orgs[i]->org_id.data, home_org(h, org), 16) != 0)
			continue;
		next->orgs[i]->status = RK__ORG_STATUS__EXPELLED;
		next->orgs[i]->since = home_now_ms;
	}
	assert_int_equal(object_make(OBJECT_KIND_DIRECTORY, h->f.exchange_id, h->f.secretariat.sk, &next->base, h->a, &d.object), RK_OK);
	assert_int_equal(book_on_control(h->client, t, &d), RK_OK);
	assert_int_equal(book_directory(h->client, t, h->a, &newest, oh), RK_OK);
	assert_int_equal(newest->serial, next->serial);
	assert_int_equal(env_commit(t), RK_OK);
}

/* ---- agreements */

static int org_at(const struct home *h, const struct deal *deal, int i)
{
	for (int org = 1; org <= HOME_SELF; org++)
		if (memcmp(home_org(h, org), deal->parties[i]->org_id.data, 16) == 0)
			return org;
	fail();
	return 0;
}

static int party_by_id(const void *a, const void *b)
{
	return memcmp((*(Rk__Party *const *)a)->org_id.data, (*(Rk__Party *const *)b)->org_id.data, 16);
}

void deal_init(struct home *h, struct deal *deal)
{
	uint32_t today;

	memset(deal, 0, sizeof(*deal));
	rk__nda_terms__init(&deal->terms);
	rk__nda_cover__init(&deal->cover);
	rk__survival__init(&deal->survival);
	for (int i = 0; i < 3; i++) {
		const uint8_t *id = home_org(h, i + 1);

		rk__party__init(&deal->party[i]);
		rk__cover_party__init(&deal->covered[i]);
		deal->party[i].org_id = deal->covered[i].org_id = pb_of(bytes_make(id, 16));
		if (i + 1 == HOME_SELF)
			memcpy(deal->fp[i], h->org_fp, 32);
		else
			ids_sha256(deal->fp[i], BYTES_OF(h->f.orgs[i + 1].org.pk));
		deal->party[i].org_key_fp = pb_of(BYTES_OF(deal->fp[i]));
		deal->party[i].may_disclose = deal->party[i].may_receive = true;
		deal->covered[i].legal_name = (char *)"Party";
		deal->parties[i] = &deal->party[i];
		deal->covers[i] = &deal->covered[i];
		fixed_bytes(deal->page_salt[i], 32, i == 0 ? "salt a" : i == 1 ? "salt b" : "salt c");
	}
	qsort(deal->parties, 3, sizeof(deal->parties[0]), party_by_id);
	deal->terms.version = deal->cover.version = 1;
	deal->terms.exchange_id = pb_of(BYTES_OF(h->f.exchange_id));
	deal->terms.nonce16 = fixed_data(h->a, 16, "deal");
	deal->terms.parties = deal->parties;
	deal->cover.parties = deal->covers;
	deal->terms.n_parties = deal->cover.n_parties = 3;
	deal->terms.zone = (char *)ZONE;
	assert_int_equal(days_of(home_now_ms, ZONE, &today), RK_OK);
	deal->terms.first_day = today;
	deal->terms.last_day = days_add_months(today, 12);
	assert_int_equal(days_start(deal->terms.first_day, ZONE, &deal->terms.not_before), RK_OK);
	assert_int_equal(days_end(deal->terms.last_day, ZONE, &deal->terms.not_after), RK_OK);
	deal->terms.accept_by = home_now_ms + 14 * NDA_DAY_MS;
	deal->terms.exit_rule = RK__EXIT_RULE__END_ALL;
	deal->terms.notice_window_days = 36 * 31;
	deal->cover.language = (char *)"ja";
	deal->cover.purpose = (char *)"Evaluate";
	deal->cover.form_id = (char *)FORMS_PLAIN_ID;
	deal->cover.form_version = FORMS_PLAIN_VERSION;
	deal->cover.scope_rule = RK__SCOPE_RULE__MARKED_OR_CONFIRMED;
	deal->cover.oral_days = AGREEMENT_ORAL_DAYS;
	deal->cover.receiver_classes = AGREEMENT_CLASSES;
	deal->cover.copies = RK__COPIES__COPIES_FREE;
	deal->cover.no_reverse_engineering = true;
	deal->cover.backups_exempt = true;
	deal->cover.return_rule = RK__RETURN_RULE__RECEIVER_CHOICE;
	deal->cover.certificate_days = AGREEMENT_CERTIFICATE_DAYS;
	deal->cover.next_step_by = days_add_months(today, AGREEMENT_NEXT_STEP_MONTHS);
	deal->cover.law = (char *)"JP";
	deal->cover.forum = RK__FORUM__COURT;
	deal->survival.basis = RK__SURVIVAL_BASIS__FROM_END;
	deal->survival.months = AGREEMENT_SURVIVAL_MONTHS;
	deal->cover.survival = &deal->survival;
	fixed_bytes(deal->salt, 32, "doc salt");
}

static void make_page(struct home *h, struct deal *deal, int i)
{
	Rk__SignaturePage page = RK__SIGNATURE_PAGE__INIT;
	uint8_t digest[32];

	ids_sha256(digest, deal->cover_bytes);
	page.version = 1;
	page.name = (char *)"Sato Haruka";
	page.language_shown = (char *)"ja";
	page.cover_sha256 = pb_of(BYTES_OF(digest));
	assert_int_equal(STRICT_PACK(&page, h->a, &deal->page[i]), RK_OK);
	nda_page_commit(deal->commit[i], deal->page_salt[i], deal->page[i]);
}

void deal_finish(struct home *h, struct deal *deal)
{
	if (deal->document.len == 0)
		assert_int_equal(forms_write(&deal->terms, &deal->cover, h->a, &deal->document), RK_OK);
	assert_int_equal(STRICT_PACK(&deal->cover, h->a, &deal->cover_bytes), RK_OK);
	nda_doc_commit(deal->doc_commit, deal->salt, deal->cover_bytes, deal->document);
	deal->terms.doc_commit = pb_of(BYTES_OF(deal->doc_commit));
	deal->terms.cover_len = (uint32_t)deal->cover_bytes.len;
	deal->terms.doc_len = (uint32_t)deal->document.len;
	assert_int_equal(STRICT_PACK(&deal->terms, h->a, &deal->terms_bytes), RK_OK);
	ids_nda(deal->nda_id, h->f.exchange_id, deal->terms_bytes);
	for (int i = 0; i < 3; i++)
		make_page(h, deal, i);
}

struct bytes deal_act(struct home *h, const struct deal *deal, int org, Rk__ActKind kind, const char *reason)
{
	bool is_hold = kind == RK__ACT_KIND__HOLD;
	Rk__NdaAct act = RK__NDA_ACT__INIT;
	const uint8_t *sk;
	struct bytes wire;

	act.version = 1;
	act.nda_id = pb_of(BYTES_OF(deal->nda_id));
	act.org_id = pb_of(bytes_make(home_org(h, org), 16));
	act.kind = kind;
	act.signed_at = home_now_ms;
	act.reason = (char *)(uintptr_t)reason;
	if (kind == RK__ACT_KIND__ACCEPT)
		act.sigpage_commit = pb_of(BYTES_OF(deal->commit[org - 1]));
	if (org == HOME_SELF) {
		sk = keys_sign_sk(h->client, is_hold ? KEY_DEVICE : KEY_ORG);
		if (is_hold)
			act.device_id = pb_of(bytes_make(client_device_id(h->client), 16));
	} else {
		sk = is_hold ? h->f.orgs[org].device.sk : h->f.orgs[org].org.sk;
		if (is_hold)
			act.device_id = pb_of(BYTES_OF(h->f.orgs[org].device_id));
	}
	assert_int_equal(object_make(is_hold ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT, h->f.exchange_id, sk, &act.base, h->a, &wire),
	                 RK_OK);
	return wire;
}

void deal_deliver_act(struct home *h, struct bytes wire)
{
	home_deliver(h, agreement_on_act, wire, (struct bytes){0}, (struct bytes){0}, true);
}

void deal_propose(struct home *h, struct deal *deal)
{
	Rk__Proposal p = RK__PROPOSAL__INIT;
	Rk__Message m = RK__MESSAGE__INIT;
	struct bytes packed;
	struct sent sent;

	home_deliver(h, agreement_on_terms, deal->terms_bytes, (struct bytes){0}, (struct bytes){0}, true);
	deal_deliver_act(h, deal_act(h, deal, 1, RK__ACT_KIND__ACCEPT, ""));
	p.cover = pb_of(deal->cover_bytes);
	p.document = pb_of(deal->document);
	p.doc_salt = pb_of(BYTES_OF(deal->salt));
	p.page = pb_of(deal->page[0]);
	p.page_salt = pb_of(BYTES_OF(deal->page_salt[0]));
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_PROPOSAL;
	m.proposal = &p;
	assert_int_equal(STRICT_PACK(&m, h->a, &packed), RK_OK);
	home_seal(h, home_header(h, RK__KIND__PROPOSAL, 1, deal), 1, packed, &sent);
	home_deliver_sent(h, &sent);
}

void deal_conclude(struct home *h, struct deal *deal)
{
	deal_propose(h, deal);
	deal_deliver_act(h, deal_act(h, deal, 2, RK__ACT_KIND__ACCEPT, ""));
	deal_deliver_act(h, deal_act(h, deal, HOME_SELF, RK__ACT_KIND__ACCEPT, ""));
}

struct agreement *deal_load(struct home *h, const struct deal *deal)
{
	struct agreement *ag = NULL;
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	if (agreement_load(h->client, t, deal->nda_id, true, h->a, &ag) != RK_OK)
		ag = NULL;
	env_abort(t);
	return ag;
}

/* ---- envelopes */

Rk__EnvelopeHeader *home_header(struct home *h, Rk__Kind kind, int from, const struct deal *deal)
{
	Rk__EnvelopeHeader *e = fixed_alloc(h->a, sizeof(*e));
	Rk__Recipient *r = fixed_alloc(h->a, 3 * sizeof(*r));
	struct agreement *ag;

	rk__envelope_header__init(e);
	e->kind = kind;
	e->exchange_id = pb_of(BYTES_OF(h->f.exchange_id));
	e->sender_org = pb_of(bytes_make(home_org(h, from), 16));
	e->sender_device = from == HOME_SELF ? pb_of(bytes_make(client_device_id(h->client), 16)) : pb_of(BYTES_OF(h->f.orgs[from].device_id));
	e->created_at = home_now_ms;
	e->expires_at = home_now_ms + 20 * NDA_DAY_MS;
	e->directory_serial = 1;
	e->thread_id = fixed_data(h->a, 16, "thread");
	e->recipients = fixed_alloc(h->a, 3 * sizeof(*e->recipients));
	/* Letters of a proposal go to all other parties; everything else to one side. */
	for (int i = 0; i < 3; i++) {
		int org = deal != NULL ? org_at(h, deal, i) : i + 1;

		if (org == from || (kind != RK__KIND__PROPOSAL && org != (from == HOME_SELF ? 1 : HOME_SELF)))
			continue;
		rk__recipient__init(&r[i]);
		r[i].org_id = pb_of(bytes_make(home_org(h, org), 16));
		e->recipients[e->n_recipients++] = &r[i];
	}
	if (kind == RK__KIND__OPEN)
		return e;
	e->nda_id = pb_of(BYTES_OF(deal->nda_id));
	if (kind == RK__KIND__PROPOSAL)
		return e;
	e->marking = RK__MARKING__CONFIDENTIAL;
	ag = deal_load(h, deal);
	e->nda_set = ag != NULL ? pb_of(bytes_make(ag->row.nda_set, 32)) : fixed_data(h->a, 32, "set");
	return e;
}

void home_seal(struct home *h, Rk__EnvelopeHeader *e, int from, struct bytes message, struct sent *sent)
{
	const uint8_t *sk = from == HOME_SELF ? keys_sign_sk(h->client, KEY_DEVICE) : h->f.orgs[from].device.sk;
	const struct fixed_org *other = &h->f.orgs[from == HOME_SELF ? 1 : from];
	struct envelope_target targets[2];
	struct envelope_random random;

	memset(targets, 0, sizeof(targets));
	memcpy(targets[0].device_id, client_device_id(h->client), 16);
	assert_true(keys_kx_newest(h->client, &targets[0].kx_serial, targets[0].kx_pk));
	memcpy(targets[1].device_id, other->device_id, 16);
	targets[1].kx_serial = 1;
	memcpy(targets[1].kx_pk, other->kx.pk, 32);
	envelope_random(&random);
	sent->header = e;
	assert_int_equal(envelope_seal(e, message, NULL, targets, 2, sk, &random, h->a, &sent->wire), RK_OK);
}

void home_deliver_sent(struct home *h, const struct sent *sent)
{
	bool is_head_only = sent->header->kind == RK__KIND__NDA || sent->header->kind == RK__KIND__NDA_NOTICE;
	struct bytes none = {0};

	home_deliver(h, mail_on_envelope, sent->wire.head, is_head_only ? none : sent->wire.wraps, is_head_only ? none : sent->wire.body,
	             is_head_only);
}

Rkl__EnvelopeRecord *home_record(struct home *h, const uint8_t env_id[32])
{
	Rkl__EnvelopeRecord *record = NULL;
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	if (mail_load(t, env_id, h->a, &record) != RK_OK)
		record = NULL;
	env_abort(t);
	return record;
}

uint64_t home_count(struct home *h, const char *name)
{
	char key[64];
	struct txn *t;
	uint64_t n;

	snprintf(key, sizeof(key), "count/%s", name);
	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	n = meta_u64(t, key);
	env_abort(t);
	return n;
}

unsigned home_inbox(struct home *h, Rkl__InboxKind kind)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	struct txn *t;
	unsigned n = 0;

	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	assert_int_equal(env_cursor_open(t, C_INBOX, &cursor), RK_OK);
	for (int r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__InboxRecord *record = rkl__inbox_record__unpack(NULL, value.len, value.data);

		assert_non_null(record);
		n += record->kind == kind;
		rkl__inbox_record__free_unpacked(record, NULL);
	}
	env_cursor_free(cursor);
	env_abort(t);
	return n;
}

bool home_has_content(struct home *h, const uint8_t env_id[32])
{
	struct txn *t;
	bool has;

	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	has = env_has(t, C_CONTENT, bytes_make(env_id, 32));
	env_abort(t);
	return has;
}

/* ---- dossiers */

struct bytes home_dossier(struct home *h, const char *name, const char *data, bool is_hash_right)
{
	Rk__DossierFile file = RK__DOSSIER_FILE__INIT, *files[] = {&file};
	Rk__Dossier d = RK__DOSSIER__INIT;
	Rk__Message m = RK__MESSAGE__INIT;
	uint8_t digest[32];
	struct bytes packed;

	ids_sha256(digest, bytes_str(data));
	digest[0] ^= !is_hash_right;
	file.name = (char *)(uintptr_t)name;
	file.plain_len = strlen(data);
	file.plain_sha256 = pb_of(BYTES_OF(digest));
	file.data = pb_of(bytes_str(data));
	d.title = (char *)"Run 14";
	d.text = (char *)"as discussed";
	d.files = files;
	d.n_files = 1;
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_DOSSIER;
	m.dossier = &d;
	assert_int_equal(STRICT_PACK(&m, h->a, &packed), RK_OK);
	return packed;
}

/* The home's own Pickup, as the link sends it. */
static struct bytes own_pickup(struct home *h, const struct deal *deal, const struct sent *sent)
{
	Rk__Pickup p = RK__PICKUP__INIT;
	ProtobufCBinaryData env_id = pb_of(BYTES_OF(sent->wire.env_id));
	struct bytes wire;

	p.version = 1;
	p.n_env_ids = 1;
	p.env_ids = &env_id;
	p.nda_id = pb_of(BYTES_OF(deal->nda_id));
	p.nda_set = pb_of(bytes_make(deal_load(h, deal)->row.nda_set, 32));
	p.device_id = pb_of(bytes_make(client_device_id(h->client), 16));
	p.time = home_now_ms;
	assert_int_equal(object_make(OBJECT_KIND_PICKUP, h->f.exchange_id, keys_sign_sk(h->client, KEY_DEVICE), &p.base, h->a, &wire), RK_OK);
	return wire;
}

/* The broker's answer to it; what the home makes of that. */
int home_grant(struct home *h, const struct deal *deal, const struct sent *sent, bool logged)
{
	struct outcome answer = {.logged = logged, .log_index = logged ? ++h->log_index : 0, .time_ms = home_now_ms};
	struct bytes wire = own_pickup(h, deal, sent);
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	r = mail_on_pickup_answer(h->client, t, wire, &answer);
	assert_int_equal(env_commit(t), RK_OK);
	return r;
}

void home_give_bulk(struct home *h, const struct sent *sent, struct bytes wraps, struct bytes body)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(mail_on_bulk(h->client, t, sent->wire.env_id, wraps, body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static Rk__Pickup *pickup_of(struct home *h, const struct deal *deal, const struct sent *sent, int org)
{
	Rk__Pickup *p = fixed_alloc(h->a, sizeof(*p));

	rk__pickup__init(p);
	p->version = 1;
	p->n_env_ids = 1;
	p->env_ids = fixed_alloc(h->a, sizeof(*p->env_ids));
	p->env_ids[0] = pb_of(bytes_make(sent->wire.env_id, 32));
	p->nda_id = pb_of(BYTES_OF(deal->nda_id));
	p->nda_set = pb_of(bytes_make(deal_load(h, deal)->row.nda_set, 32));
	p->device_id = org == HOME_SELF ? pb_of(bytes_make(client_device_id(h->client), 16)) : pb_of(BYTES_OF(h->f.orgs[org].device_id));
	p->time = home_now_ms;
	return p;
}

void home_deliver_pickup(struct home *h, const struct deal *deal, const struct sent *sent, int org, const uint8_t sk[64])
{
	struct bytes wire;

	assert_int_equal(object_make(OBJECT_KIND_PICKUP, h->f.exchange_id, sk, &pickup_of(h, deal, sent, org)->base, h->a, &wire), RK_OK);
	home_deliver(h, mail_on_pickup, wire, (struct bytes){0}, (struct bytes){0}, true);
}
