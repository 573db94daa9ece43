#include "tests/unit/office_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/exchange.h"
#include "client/secretariat_internal.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"

struct office office;
static char folder[256];
static uint8_t exchange_id[32], own_id[16];

static int64_t now(void)
{
	return office.now_ms;
}

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	static const char text[] = "correct horse";
	(void)user, (void)role, (void)confirm, (void)again;

	office.asked++;
	if (!(*out = sodium_malloc(sizeof(text))))
		return RK_ENOMEM;
	memcpy(*out, text, sizeof(text));
	return RK_OK;
}

struct txn *office_begin(bool write)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(office.c), write, &t), RK_OK);
	return t;
}

void office_take(enum object_kind kind, struct bytes wire)
{
	struct txn *t = office_begin(true);

	assert_int_equal(book_take(office.c, t, kind, wire, office.now_ms), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

void office_take_signed(enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *m)
{
	struct bytes wire;

	assert_int_equal(object_make(kind, exchange_id, sk, m, office.a, &wire), RK_OK);
	office_take(kind, wire);
}

/* What the item says, as the broker gets it. */
struct bytes office_queued_object(uint64_t id)
{
	struct txn *t = office_begin(false);
	Rkl__OutboxItem *item;
	Rkl__Compose *what;
	struct bytes plain;
	uint8_t key[8];

	assert_int_equal(outbox_load(t, id, office.a, &item), RK_OK);
	put_u64be(key, id);
	assert_int_equal(vault_open(keys_home_key(office.c), VAULT_OUTBOX, BYTES_OF(key), bytes_of(item->sealed_compose), office.a, &plain), RK_OK);
	env_abort(t);
	assert_non_null(what = rkl__compose__unpack(arena_allocator(office.a), plain.len, plain.data));
	return bytes_of(what->object);
}

void office_answer(uint64_t id, int code)
{
	struct txn *t = office_begin(true);
	Rkl__OutboxItem *item;
	Rkl__ItemState was;

	assert_int_equal(outbox_load(t, id, office.a, &item), RK_OK);
	was = item->state;
	item->state = RKL__ITEM_STATE__DONE;
	item->code = code;
	item->time_ms = office.now_ms;
	assert_int_equal(outbox_store(t, item, was), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

uint64_t office_meta(const char *key)
{
	struct txn *t = office_begin(false);
	uint64_t v = meta_u64(t, key);

	env_abort(t);
	return v;
}

/* Everything that waits is taken; directories and epochs come back by control.  How many items there were. */
unsigned office_take_all(void)
{
	uint64_t last = office_meta(META_NEXT_ID);
	unsigned n = 0;

	for (uint64_t id = 1; id <= last; id++) {
		struct txn *t = office_begin(false);
		Rkl__OutboxItem *item;
		bool open = outbox_load(t, id, office.a, &item) == RK_OK && item->state != RKL__ITEM_STATE__DONE;

		env_abort(t);
		if (!open)
			continue;
		n++;
		if (strcmp(item->what, "directory") == 0 || strcmp(item->what, "feed epoch") == 0)
			office_take(strcmp(item->what, "directory") == 0 ? OBJECT_KIND_DIRECTORY : OBJECT_KIND_FEED_EPOCH, office_queued_object(id));
		office_answer(id, RK_OK);
	}
	return n;
}

/* The directory with two members, whose devices have kx keys. */
static void add_members(void)
{
	struct txn *t = office_begin(false);
	Rk__Directory *old, d;
	uint8_t oh[32];

	assert_int_equal(book_directory(office.c, t, office.a, &old, oh), RK_OK);
	env_abort(t);
	d = *old;
	d.serial++;
	d.prev_oh = pb_of(BYTES_OF(oh));
	d.issued_at = office.now_ms + 1;
	d.n_orgs = 1 + MEMBERS;
	d.orgs = fixed_alloc(office.a, (1 + MEMBERS) * sizeof(*d.orgs));
	d.orgs[0] = old->orgs[0];
	for (size_t i = 1; i <= MEMBERS; i++) {
		Rk__Org *row = fixed_directory(&office.f, office.a)->orgs[i];
		size_t at = i;

		for (; at > 0 && memcmp(d.orgs[at - 1]->org_id.data, row->org_id.data, 16) > 0; at--)
			d.orgs[at] = d.orgs[at - 1];
		d.orgs[at] = row;
	}
	office_take_signed(OBJECT_KIND_DIRECTORY, keys_sign_sk(office.c, KEY_SECRETARIAT), &d.base);
	for (int i = 1; i <= MEMBERS; i++) {
		office_take_signed(OBJECT_KIND_ORG_DEVICES, office.f.orgs[i].org.sk, &fixed_org_devices(&office.f, i, office.a)->base);
		office_take_signed(OBJECT_KIND_DEVICE_KX, office.f.orgs[i].device.sk, &fixed_device_kx(&office.f, i, office.a)->base);
	}
}

int office_set_up(void **state)
{
	const struct key_new cheap = {.mem_mib = 64, .ops = 2};
	struct exchange_form form = {.name = "Test exchange", .time_zone = "Asia/Tokyo",
				     .org = {.name = "Secretariat", .lang = "en", .reading = "", .kind = RK__ORG_KIND__COORDINATOR,
					     .country = "JP", .region = "", .corporate_number = "", .device_label = "office"}};
	struct client_options options = {.home = office.path, .passphrase = passphrase, .now_ms = now};
	struct bytes file;
	(void)state;

	assert_true(sodium_init() >= 0);
	fixed_init(&office.f);
	office.now_ms = FIXED_TIME_MS;
	assert_non_null(office.a = arena_new((size_t)64 << 20));
	store_kit_folder(folder);
	snprintf(office.path, sizeof(office.path), "%s/home", folder);
	memcpy(form.card.curve_pk, office.f.broker.pk, 32);
	memcpy(form.card.log_pk, office.f.log.pk, 32);
	snprintf(form.card.endpoint, sizeof(form.card.endpoint), "%s", FIXED_ENDPOINT);
	assert_int_equal(client_create(&options, &office.c), RK_OK);
	assert_int_equal(exchange_create(office.c, &form, &cheap, office.a, &file, exchange_id, own_id), RK_OK);
	add_members();
	return 0;
}

int office_tear_down(void **state)
{
	(void)state;
	client_close(office.c);
	arena_free(office.a);
	store_kit_remove(folder);
	return 0;
}

struct secretariat_duty office_duty(enum secretariat_duty_kind kind)
{
	struct secretariat_duty all[OFFICE_COUNT];
	struct txn *t = office_begin(false);

	assert_int_equal(secretariat_list(office.c, t, all), RK_OK);
	env_abort(t);
	return all[kind];
}

struct secretariat_done office_do_now(void)
{
	struct secretariat_done done;

	assert_int_equal(secretariat_duties(office.c, &done), RK_OK);
	return done;
}

uint64_t office_serial(void)
{
	struct txn *t = office_begin(false);
	Rk__Directory *d;
	uint8_t oh[32];

	assert_int_equal(book_directory(office.c, t, office.a, &d, oh), RK_OK);
	env_abort(t);
	return d->serial;
}

void office_reopen(void)
{
	client_close(office.c);
	assert_int_equal(client_open(&(struct client_options){.home = office.path, .passphrase = passphrase, .now_ms = now}, &office.c), RK_OK);
	assert_int_equal(keys_unlock(office.c, KEY_DEVICE), RK_OK);
}
