/* The file: writing it from one snapshot of the store; reading it twice, first to know that it is whole. */
#include "client/history_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/deposit.h"
#include "client/evidence_internal.h"
#include "client/mail_internal.h"
#include "client/savefile.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define ITEM_ARENA ((size_t)256 * 1024)
#define PART_ITEMS 64 /* of one transaction */

const char *const history_kinds[HISTORY_KINDS] = {"object", "evidence", "envelope", "post", "deposit"};

/* ---- writing */

struct exporting {
	struct client *c;
	struct txn *t;
	struct archive_writer *w;
	struct history_result *result;
};

static int put_item(struct exporting *x, enum history_kind kind, struct bytes id, Rkl__HistoryItem *item, struct arena *a)
{
	char name[USTAR_NAME_CHARS], hex[2 * ID32_BYTES + 1];
	size_t len = rkl__history_item__get_packed_size(item);
	uint8_t *packed;

	if (id.len != ID32_BYTES || len > HISTORY_ITEM_MAX)
		return RK_ESTORE;
	arena_raise(a, len + 64);
	if ((packed = arena_alloc(a, len)) == NULL)
		return RK_ENOMEM;
	rkl__history_item__pack(item, packed);
	ids_hex(hex, id);
	snprintf(name, sizeof(name), "%s/%s", history_kinds[kind], hex);
	return archive_add_bytes(x->w, name, bytes_make(packed, len));
}

/* A row of a table as it stands: keys of more than an id begin with a letter that is left out. */
static int put_evidence(struct exporting *x, enum history_kind kind, enum evidence_kind letter)
{
	uint8_t from = (uint8_t)letter;
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r = env_cursor_open(x->t, C_EVIDENCE, &cursor);

	for (r = r == RK_OK ? env_cursor_seek(cursor, bytes_make(&from, 1), &key, &value) : r;
	     r == RK_OK && key.len == EVIDENCE_KEY_BYTES && key.data[0] == letter; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
		struct arena *a = arena_new(ITEM_ARENA);

		item.record = pb_of(value);
		r = a != NULL ? put_item(x, kind, bytes_make(key.data + 1, ID32_BYTES), &item, a) : RK_ENOMEM;
		arena_free_wiped(a);
		if (r != RK_OK)
			break;
	}
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* What cannot be opened here cannot be shown to another either. */
static int content_of(struct exporting *x, bool own_key, const uint8_t id[32], struct arena *a, ProtobufCBinaryData *out)
{
	struct bytes message;
	int r = content_get(x->c, x->t, id, own_key, a, &message);

	if (r == RK_OK)
		*out = pb_of(message);
	return r == RK_ENOTFOUND || r == RK_EINTEGRITY ? RK_OK : r;
}

static int put_envelope(struct exporting *x, const Rkl__EnvelopeRecord *record)
{
	struct arena *a = arena_new(ITEM_ARENA);
	Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
	bool own_key = mail_has_own_key(record->kind);
	struct bytes value, salt;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_get(x->t, C_ENVELOPE, bytes_of(record->env_id), &value)) == RK_OK &&
	    (r = content_of(x, own_key, record->env_id.data, a, &item.content)) == RK_OK && own_key) {
		r = evidence_open_salt(x->c, x->t, record->env_id.data, false, a, &salt);
		item.secret = pb_of(salt);
		r = r == RK_ENOTFOUND || r == RK_EINTEGRITY ? RK_OK : r;
	}
	item.record = pb_of(value);
	if (r == RK_OK)
		r = put_item(x, HISTORY_ENVELOPE, bytes_of(record->env_id), &item, a);
	x->result->envelopes++;
	arena_free_wiped(a);
	return r;
}

static bool any(const Rkl__EnvelopeRecord *record)
{
	(void)record;
	return true;
}

/* In the order in which they came: an agreement's document stands before the signature pages for it. */
static int put_envelopes(struct exporting *x)
{
	struct arena *a = arena_new(ITEM_ARENA);
	Rkl__EnvelopeRecord **list;
	size_t n = 0;
	int r = a != NULL ? mail_list(x->t, a, any, 0, &list, &n) : RK_ENOMEM;

	for (size_t i = n; r == RK_OK && i-- > 0;)
		r = put_envelope(x, list[i]);
	arena_free(a);
	return r;
}

static int put_post(struct exporting *x, struct bytes key, struct bytes value)
{
	struct arena *a = arena_new(ITEM_ARENA);
	Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
	Rkl__PostRecord *record;
	int r = RK_OK;

	if (a == NULL)
		return RK_ENOMEM;
	arena_raise(a, arena_budget(value.len));
	if ((record = rkl__post_record__unpack(arena_allocator(a), value.len, value.data)) == NULL)
		r = RK_ESTORE;
	else if (record->env_id.len == ID32_BYTES)
		r = content_of(x, false, record->env_id.data, a, &item.content);
	item.record = pb_of(value);
	if (r == RK_OK && item.content.len > 0) {
		r = put_item(x, HISTORY_POST, key, &item, a);
		x->result->posts++;
	}
	arena_free_wiped(a);
	return r;
}

static int put_posts(struct exporting *x)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r = env_cursor_open(x->t, C_POST, &cursor);

	for (r = r == RK_OK ? env_cursor_seek(cursor, bytes_make("", 0), &key, &value) : r; r == RK_OK;
	     r = env_cursor_next(cursor, &key, &value))
		if ((r = put_post(x, key, value)) != RK_OK)
			break;
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* What has no place in the log yet waits in the other home, and goes from there. */
static int put_deposit(struct exporting *x, Rkl__DepositRecord *record, struct arena *a)
{
	Rkl__HistoryItem item = RKL__HISTORY_ITEM__INIT;
	Rkl__DepositSecret s = RKL__DEPOSIT_SECRET__INIT;
	struct deposit_secret secret;
	uint8_t *packed;
	int r;

	if (!record->logged || (r = deposit_open(x->c, record, a, &secret)) == RK_ENOTFOUND)
		return RK_OK;
	if (r != RK_OK)
		return r;
	s.salt = pb_of(BYTES_OF(secret.salt));
	s.sha256 = pb_of(BYTES_OF(secret.sha256));
	s.name = pb_text(secret.name);
	s.title = pb_text(secret.title);
	s.size = secret.size;
	record->sealed_secret.len = 0;
	arena_raise(a, rkl__deposit_secret__get_packed_size(&s) + rkl__deposit_record__get_packed_size(record) + 128);
	if ((packed = arena_alloc(a, rkl__deposit_secret__get_packed_size(&s))) == NULL)
		return RK_ENOMEM;
	item.secret = pb_of(bytes_make(packed, rkl__deposit_secret__pack(&s, packed)));
	if ((packed = arena_alloc(a, rkl__deposit_record__get_packed_size(record))) == NULL)
		return RK_ENOMEM;
	item.record = pb_of(bytes_make(packed, rkl__deposit_record__pack(record, packed)));
	x->result->deposits++;
	return put_item(x, HISTORY_DEPOSIT, bytes_of(record->oh), &item, a);
}

static int put_deposits(struct exporting *x)
{
	struct arena *a = arena_new(ITEM_ARENA);
	Rkl__DepositRecord **list;
	size_t n = 0;
	int r = a != NULL ? deposit_list(x->t, a, &list, &n) : RK_ENOMEM;

	for (size_t i = 0; r == RK_OK && i < n; i++)
		r = put_deposit(x, list[i], a);
	arena_free_wiped(a);
	return r;
}

static void make_head(struct client *c, uint8_t head[HISTORY_HEAD_BYTES])
{
	memcpy(head, HISTORY_FORMAT, sizeof(HISTORY_FORMAT));
	memcpy(head + sizeof(HISTORY_FORMAT), client_exchange_id(c), 32);
	memcpy(head + sizeof(HISTORY_FORMAT) + 32, client_org_id(c), 16);
}

static int write_all(struct exporting *x)
{
	uint8_t head[HISTORY_HEAD_BYTES];
	int r;

	make_head(x->c, head);
	if ((r = archive_add_bytes(x->w, HISTORY_HEAD, BYTES_OF(head))) != RK_OK ||
	    (r = put_evidence(x, HISTORY_OBJECT, EVIDENCE_OBJECT)) != RK_OK ||
	    (r = put_evidence(x, HISTORY_EVIDENCE, EVIDENCE_RECORD)) != RK_OK || (r = put_envelopes(x)) != RK_OK ||
	    (r = put_posts(x)) != RK_OK || (r = put_deposits(x)) != RK_OK)
		return r;
	return archive_end(x->w);
}

static int write_to(struct client *c, int fd, const char *code, struct history_result *result)
{
	struct exporting x = {.c = c, .result = result};
	struct stat st;
	int r = keys_unlock(c, KEY_DEVICE);

	if (r == RK_OK)
		r = env_begin(client_env(c), false, &x.t);
	if (r == RK_OK)
		r = archive_begin(fd, bytes_str(code), NULL, NULL, &x.w);
	if (r == RK_OK)
		r = write_all(&x);
	archive_writer_free(x.w);
	env_abort(x.t);
	if (r == RK_OK && fsync(fd) != 0)
		r = errno == ENOSPC ? RK_EDISKFULL : RK_EIO;
	if (r == RK_OK && fstat(fd, &st) == 0)
		result->bytes = (uint64_t)st.st_size;
	return r;
}

int history_export(struct client *c, const char *file, const char *code, struct history_result *result)
{
	const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
	char folder[PATH_MAX], part[NAME_MAX + 24];
	int dir, fd, closed, r;

	memset(result, 0, sizeof(*result));
	if (name[0] == '\0' || strlen(name) > NAME_MAX - 16 || (size_t)(name - file) >= sizeof(folder))
		return RK_EUSAGE;
	snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : slash == file ? 1 : (int)(slash - file), slash == NULL ? "." : file);
	snprintf(part, sizeof(part), "%s.part-%ld", name, (long)getpid());
	if ((dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return RK_EIO;
	if (savefile_exists(dir, name)) {
		close(dir);
		return RK_EEXISTS;
	}
	if ((fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0) {
		r = errno == ENOSPC ? RK_EDISKFULL : RK_EIO;
		close(dir);
		return r;
	}
	r = write_to(c, fd, code, result);
	if (close(fd) != 0 && r == RK_OK)
		r = RK_EIO;
	if (r == RK_OK)
		r = savefile_rename_new(dir, part, name);
	if (r != RK_OK)
		(void)unlinkat(dir, part, 0);
	closed = savefile_close(dir);
	return r == RK_OK ? closed : r;
}

/* ---- reading */

struct importing {
	struct client *c;
	struct archive_reader *reader;
	struct history_result *result;
	bool is_taking;     /* the second time; the first one only finds out whether all of it is there */
	struct txn *t;
	unsigned in_part;
};

static int read_member(struct archive_reader *reader, uint64_t len, struct arena *a, struct bytes *out)
{
	size_t have = 0, n = 1;
	uint8_t *room;
	int r = RK_OK;

	if (len > HISTORY_ITEM_MAX)
		return RK_MALFORMED;
	arena_raise(a, (size_t)len + 64);
	if ((room = arena_alloc(a, (size_t)len + 1)) == NULL)
		return RK_ENOMEM;
	while (r == RK_OK && n > 0 && have < len)
		if ((r = archive_read(reader, room + have, (size_t)len - have, &n)) == RK_OK)
			have += n;
	*out = bytes_make(room, have);
	return r == RK_OK && have < len ? RK_EINTEGRITY : r;
}

static int check_head(struct importing *m, const char *name, struct bytes content)
{
	uint8_t own[HISTORY_HEAD_BYTES];

	make_head(m->c, own);
	if (strcmp(name, HISTORY_HEAD) != 0 || content.len != sizeof(own) || memcmp(content.data, own, sizeof(HISTORY_FORMAT)) != 0)
		return RK_MALFORMED;
	if (memcmp(content.data + sizeof(HISTORY_FORMAT), own + sizeof(HISTORY_FORMAT), 32) != 0)
		return RK_WRONG_EXCHANGE;
	return memcmp(content.data, own, sizeof(own)) == 0 ? RK_OK : RK_NOT_PERMITTED;
}

static int read_name(const char *name, enum history_kind *kind, uint8_t id[32])
{
	const char *stroke = strchr(name, '/');

	for (unsigned i = 0; stroke != NULL && i < HISTORY_KINDS; i++)
		if (strlen(history_kinds[i]) == (size_t)(stroke - name) && strncmp(name, history_kinds[i], (size_t)(stroke - name)) == 0) {
			*kind = (enum history_kind)i;
			return ids_from_hex(id, 32, stroke + 1) ? RK_OK : RK_MALFORMED;
		}
	return RK_MALFORMED;
}

static int end_part(struct importing *m, int r)
{
	if (m->t == NULL)
		return r;
	if (r == RK_OK)
		r = env_commit(m->t);
	else
		env_abort(m->t);
	m->t = NULL;
	m->in_part = 0;
	return r;
}

static int take_item(struct importing *m, enum history_kind kind, const uint8_t id[32], const Rkl__HistoryItem *item)
{
	bool taken = false;
	int r = m->t == NULL ? env_begin(client_env(m->c), true, &m->t) : RK_OK;

	if (r == RK_OK)
		r = history_take(m->c, m->t, kind, id, item, &taken);
	if (r == RK_EINTEGRITY) {
		m->result->refused++;
		r = RK_OK;
	}
	m->result->taken += taken && kind >= HISTORY_ENVELOPE;
	return r == RK_OK && ++m->in_part >= PART_ITEMS ? end_part(m, r) : r;
}

static int on_member(struct importing *m, const char *name, uint64_t len)
{
	struct arena *a = arena_new(ITEM_ARENA);
	Rkl__HistoryItem *item = NULL;
	enum history_kind kind;
	struct bytes content;
	uint8_t id[32];
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = read_name(name, &kind, id)) != RK_OK || (r = read_member(m->reader, len, a, &content)) != RK_OK)
		goto out;
	arena_raise(a, arena_budget(content.len));
	if ((item = rkl__history_item__unpack(arena_allocator(a), content.len, content.data)) == NULL) {
		r = RK_MALFORMED;
		goto out;
	}
	m->result->envelopes += !m->is_taking && kind == HISTORY_ENVELOPE;
	m->result->posts += !m->is_taking && kind == HISTORY_POST;
	m->result->deposits += !m->is_taking && kind == HISTORY_DEPOSIT;
	if (m->is_taking)
		r = take_item(m, kind, id, item);
out:
	arena_free_wiped(a);
	return r;
}

static int read_all(struct importing *m, int fd, const char *code)
{
	char name[USTAR_NAME_CHARS];
	struct arena *a = arena_new(ITEM_ARENA);
	struct bytes head;
	uint64_t len;
	int r = a != NULL ? archive_open(fd, bytes_str(code), NULL, NULL, &m->reader) : RK_ENOMEM;

	if (r == RK_OK && (r = archive_next(m->reader, name, &len)) == RK_OK && (r = read_member(m->reader, len, a, &head)) == RK_OK)
		r = check_head(m, name, head);
	else if (r == RK_ENOTFOUND)
		r = RK_MALFORMED;
	while (r == RK_OK && (r = archive_next(m->reader, name, &len)) == RK_OK)
		r = on_member(m, name, len);
	archive_reader_free(m->reader);
	m->reader = NULL;
	arena_free(a);
	return end_part(m, r == RK_ENOTFOUND ? RK_OK : r);
}

int history_import(struct client *c, const char *file, const char *code, struct history_result *result)
{
	struct importing m = {.c = c, .result = result};
	int fd, r;

	memset(result, 0, sizeof(*result));
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	if ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0)
		return RK_EIO;
	r = read_all(&m, fd, code);
	if (r == RK_OK && lseek(fd, 0, SEEK_SET) != 0)
		r = RK_EIO;
	m.is_taking = true;
	if (r == RK_OK)
		r = read_all(&m, fd, code);
	close(fd);
	return r;
}
