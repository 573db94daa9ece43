/*
 * parts: attachments over the real wire, spoken by hand with a real home's keys: what a second implementation would do from PROTOCOL.md.
 *
 *   parts HOME carry NDA_ID PEER_ORG FILE   sends FILE (any bytes of 200 or more) in parts, with a window, through whatever happens to the broker;
 *                                           submits an envelope that names it; fetches it back in parts; compares.  Says how fast.
 *   parts HOME hostile NDA_ID PEER_ORG      requests about attachments that librenkei would never send, and the refusal of each
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/agreement.h"
#include "client/client.h"
#include "proto/envelope.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/strict.h"
#include "tests/unit/member.h"

#define PART (256u * 1024)
#define FETCH_PART 786432u
#define WINDOW 32u         /* parts unanswered: 8 MiB */
#define FETCH_WINDOW 16u
#define SILENT_MS 1500     /* then the broker is gone, or dropped what was sent */
#define TRIES_MAX 200

static struct member m;
static struct rawpeer *peer;
static uint8_t nda_id[32], peer_org[16], sha256[32];
static const uint8_t *data;
static uint64_t len;
static unsigned connections, failed;

static void __attribute__((noreturn)) die(const char *what, int code)
{
	fprintf(stderr, "parts: %s: %s\n", what, code == RAWPEER_NO_REPLY ? "no reply" : errcode_name(code));
	exit(3);
}

static void pause_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void connect_anew(void)
{
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		rawpeer_free(peer);
		peer = member_connect(&m);
		rawpeer_timeout(peer, SILENT_MS);
		if (rawpeer_hello_as(peer, m.writer_epoch, NULL) == RK_OK) {
			connections++;
			return;
		}
		pause_ms(100);
	}
	die("HELLO", RAWPEER_NO_REPLY);
}

/* ---- the requests */
static int open_blob(const uint8_t *sha, const uint8_t *nda, uint64_t length)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__BlobOpen open = RK__BLOB_OPEN__INIT;

	open.nda_id = pb_of(bytes_make(nda, 32));
	open.sha256 = pb_of(bytes_make(sha, 32));
	open.len = length;
	q.op = RK__OP__OP_BLOB_OPEN;
	q.blob_open = &open;
	return rawpeer_numbered(peer, &q, NULL, 0, NULL);
}

/* Without a tag, so that any reply is taken for the next one. */
static void send_request(Rk__Request *q, struct bytes more)
{
	uint8_t header[1024];
	struct bytes frames[2] = {{0}, more};

	q->protocol = 1;
	frames[0] = bytes_make(header, rk__request__pack(q, header));
	rawpeer_send(peer, frames, more.data != NULL ? 2 : 1);
}

static void send_put(const uint8_t *sha, uint64_t offset, struct bytes part)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__BlobPut put = RK__BLOB_PUT__INIT;

	put.sha256 = pb_of(bytes_make(sha, 32));
	put.offset = offset;
	q.op = RK__OP__OP_BLOB_PUT;
	q.blob_put = &put;
	send_request(&q, part);
}

static int put(const uint8_t *sha, uint64_t offset, struct bytes part, const Rk__Reply **reply)
{
	send_put(sha, offset, part);
	return rawpeer_ask_tag(peer, NULL, 0, 0, reply);
}

static void send_fetch(const uint8_t *env_id, uint32_t blob, uint64_t offset, uint32_t length)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;

	fetch.env_id = pb_of(bytes_make(env_id, 32));
	fetch.blob = blob;
	fetch.offset = offset;
	fetch.len = length;
	q.op = RK__OP__OP_FETCH;
	q.fetch = &fetch;
	send_request(&q, (struct bytes){0});
}

/* ---- sending */
/* How far it is; false when the broker is gone. */
static bool ask_have(uint64_t *have, bool *complete)
{
	const Rk__Reply *reply;
	int code = put(sha256, 0, (struct bytes){0}, &reply);

	if (code == RAWPEER_NO_REPLY || code == RK_BUSY || code == RK_GENERATION)
		return false;
	if (code != RK_OK || reply->blob == NULL)
		die("question", code);
	*have = reply->blob->have;
	*complete = reply->blob->complete;
	return true;
}

/* From `next` until it is complete, or something was lost. */
static bool send_parts(uint64_t next, bool *complete)
{
	unsigned unanswered = 0;

	while (!*complete && (next < len || unanswered > 0)) {
		const Rk__Reply *reply;
		int code;

		for (; unanswered < WINDOW && next < len; unanswered++) {
			uint64_t n = len - next < PART ? len - next : PART;

			send_put(sha256, next, bytes_make(data + next, n));
			next += n;
		}
		code = rawpeer_ask_tag(peer, NULL, 0, 0, &reply);
		unanswered--;
		if (code == RK_OUT_OF_ORDER || code == RAWPEER_NO_REPLY || code == RK_BUSY || code == RK_GENERATION)
			return false;
		if (code != RK_OK)
			die("part", code);
		*complete = reply->blob->complete;
	}
	return true;
}

static void upload(void)
{
	uint64_t have = 0;
	bool complete = false;

	for (unsigned i = 0; !complete && i < TRIES_MAX; i++) {
		int code;

		connect_anew();
		if ((code = open_blob(sha256, nda_id, len)) != RK_OK && code != RAWPEER_NO_REPLY)
			die("BLOB_OPEN", code);
		if (code != RK_OK || !ask_have(&have, &complete) || complete)
			continue;
		fprintf(stderr, "parts: from %llu\n", (unsigned long long)have);
		if (send_parts(have, &complete))
			while (!complete && ask_have(&have, &complete))
				pause_ms(20); /* its hash is still being computed */
	}
	if (!complete)
		die("upload", RAWPEER_NO_REPLY);
}

/* ---- the envelope */
static void make_header(Rk__EnvelopeHeader *h, Rk__Recipient *to, uint8_t set[32])
{
	struct agreement *agreement;
	struct txn *txn;

	if (env_begin(client_env(m.client), false, &txn) != RK_OK ||
	    agreement_load(m.client, txn, nda_id, false, m.arena, &agreement) != RK_OK)
		die("agreement", RK_ENOTFOUND);
	memcpy(set, agreement->row.nda_set, 32);
	env_abort(txn);
	h->kind = RK__KIND__NDA;
	h->exchange_id = pb_of(bytes_make(client_exchange_id(m.client), 32));
	h->sender_org = pb_of(bytes_make(client_org_id(m.client), 16));
	h->sender_device = pb_of(bytes_make(client_device_id(m.client), 16));
	h->created_at = client_now(m.client);
	h->expires_at = h->created_at + NDA_DAY_MS;
	h->directory_serial = m.directory_serial;
	h->nda_id = pb_of(BYTES_OF(nda_id));
	h->nda_set = pb_of(bytes_make(set, 32));
	h->marking = RK__MARKING__CONFIDENTIAL;
	to->org_id = pb_of(BYTES_OF(peer_org));
}

static int by_device(const void *a, const void *b)
{
	return memcmp(((const struct envelope_target *)a)->device_id, ((const struct envelope_target *)b)->device_id, 16);
}

/* Submits a dossier that names the attachment; its env_id. */
static int submit(uint8_t env_id[32])
{
	Rk__EnvelopeHeader h = RK__ENVELOPE_HEADER__INIT;
	Rk__Recipient to = RK__RECIPIENT__INIT, *recipients[] = {&to};
	Rk__BlobRef ref = RK__BLOB_REF__INIT, *refs[] = {&ref};
	Rk__Request q = RK__REQUEST__INIT;
	struct envelope_target targets[64];
	struct envelope_random random;
	struct envelope_wire wire;
	struct envelope e;
	uint8_t set[32], text[] = "not a message that anybody opens";
	size_t n = 0, more = 0;
	struct txn *txn;
	int code;

	make_header(&h, &to, set);
	h.recipients = recipients;
	ref.sha256 = pb_of(BYTES_OF(sha256));
	ref.len = len;
	h.blobs = refs;
	h.n_recipients = h.n_blobs = 1;
	if (env_begin(client_env(m.client), false, &txn) != RK_OK ||
	    (code = book_targets(m.client, txn, peer_org, targets, 32, &n)) != RK_OK ||
	    (code = book_targets(m.client, txn, client_org_id(m.client), targets + n, 32, &more)) != RK_OK)
		die("targets", RK_ENOTFOUND);
	env_abort(txn);
	n += more;
	qsort(targets, n, sizeof(targets[0]), by_device);
	envelope_random(&random);
	if ((code = envelope_seal(&h, BYTES_OF(text), NULL, targets, n, keys_sign_sk(m.client, KEY_DEVICE), &random, m.arena, &wire)) != RK_OK)
		die("seal", code);
	if (STRICT_PARSE(signed, wire.head, m.arena, &q.head) != RK_OK || envelope_parse_signed(q.head, m.arena, &e) != RK_OK)
		die("seal", RK_EINTERNAL);
	envelope_id(env_id, &e, client_exchange_id(m.client));
	q.op = RK__OP__OP_SUBMIT;
	return rawpeer_numbered(peer, &q, (struct bytes[]){wire.wraps, wire.body}, 2, NULL);
}

/* ---- fetching */
/* Takes the answers that have come; where one was refused or lost, it is asked for again. */
static void download(const uint8_t env_id[32])
{
	uint64_t parts = (len + FETCH_PART - 1) / FETCH_PART, done = 0;
	bool *have = calloc(parts, sizeof(bool));
	uint8_t *out = malloc(len), hash[32];

	while (done < parts) {
		unsigned asked = 0;

		for (uint64_t i = 0; i < parts && asked < FETCH_WINDOW; i++)
			if (!have[i]) {
				send_fetch(env_id, 1, i * FETCH_PART, FETCH_PART);
				asked++;
			}
		for (; asked > 0; asked--) {
			const Rk__Reply *reply;
			struct bytes bulk;
			int code = rawpeer_ask_tag(peer, NULL, 0, 0, &reply);

			if (code == RAWPEER_NO_REPLY || code == RK_GENERATION) {
				connect_anew();
				break;
			}
			if (code == RK_BUSY) {
				pause_ms(20);
				continue;
			}
			/* A part that was sent twice has two answers, and the first one may have said that all is there. */
			if (code == RK_OK && reply->op == RK__OP__OP_BLOB_PUT) {
				asked++;
				continue;
			}
			if (code != RK_OK || reply->fetch == NULL || rawpeer_reply_frames(peer, &bulk, 1) != 1 || reply->fetch->total != len ||
			    bulk.len > len - reply->fetch->offset)
				die("FETCH", code);
			memcpy(out + reply->fetch->offset, bulk.data, bulk.len);
			done += !have[reply->fetch->offset / FETCH_PART];
			have[reply->fetch->offset / FETCH_PART] = true;
		}
	}
	ids_sha256(hash, bytes_make(out, len));
	if (memcmp(hash, sha256, 32) != 0)
		die("what was fetched is not what was sent", RK_EINTEGRITY);
	free(out);
	free(have);
}

static void read_file(const char *name)
{
	struct stat st;
	int fd = open(name, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) != 0)
		die(name, RK_EIO);
	len = (uint64_t)st.st_size;
	data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		die(name, RK_EIO);
	close(fd);
	ids_sha256(sha256, bytes_make(data, len));
}

static void carry(const char *file)
{
	uint8_t env_id[32];
	char hex[65];
	double began, sent, fetched;
	int code;

	read_file(file);
	began = now();
	upload();
	sent = now();
	if ((code = submit(env_id)) != RK_OK)
		die("SUBMIT", code);
	ids_hex(hex, BYTES_OF(env_id));
	printf("envelope %s\n", hex);
	fflush(stdout);
	fprintf(stderr, "parts: fetching\n");
	fetched = now();
	download(env_id);
	printf("sent %.0f MiB/s, fetched %.0f MiB/s, %u connections\n", (double)len / 1048576 / (sent - began),
	       (double)len / 1048576 / (now() - fetched), connections);
}

/* ---- hostile */
static void expect(const char *what, int want, int got)
{
	failed += want != got;
	printf("%s %-60s %s\n", want == got ? "ok  " : "FAIL", what, got == RAWPEER_NO_REPLY ? "no reply" : errcode_name(got));
}

static void try_all(void)
{
	static uint8_t part[PART + 1], unknown[32] = {9}, other[32] = {8};
	const Rk__Reply *reply;
	uint8_t env_id[32];

	randombytes_buf(part, sizeof(part));
	len = 1000;
	ids_sha256(sha256, bytes_make(part, len));
	connect_anew();
	expect("open: under an agreement of others", RK_NO_NDA, open_blob(sha256, unknown, len));
	expect("open: shorter than any", RK_MALFORMED, open_blob(sha256, nda_id, 199));
	expect("open: longer than any", RK_MALFORMED, open_blob(sha256, nda_id, 2148008121));
	expect("put: before it was opened", RK_UNKNOWN_OBJECT, put(sha256, 0, bytes_make(part, len), NULL));
	expect("open", RK_OK, open_blob(sha256, nda_id, len));
	expect("open: again with another length", RK_CONFLICT, open_blob(sha256, nda_id, len + 1));
	expect("put: a part too large", RK_TOO_LARGE, put(sha256, 0, bytes_make(part, PART + 1), NULL));
	expect("put: behind its end", RK_MALFORMED, put(sha256, 0, bytes_make(part, len + 1), NULL));
	expect("put: with a gap", RK_OUT_OF_ORDER, put(sha256, 10, bytes_make(part, 10), NULL));
	expect("submit: before it is complete", RK_UNKNOWN_OBJECT, submit(env_id));
	expect("put: other bytes than its hash", RK_MALFORMED, put(sha256, 0, bytes_make(part + 1, len), &reply));
	expect("put: and nothing is left of them", 0, reply != NULL && reply->blob != NULL ? (int)reply->blob->have : -1);
	expect("put: of another", RK_UNKNOWN_OBJECT, put(other, 0, bytes_make(part, 1), NULL));
	expect("put", RK_OK, put(sha256, 0, bytes_make(part, len), &reply));
	expect("put: complete", RK_OK, reply != NULL && reply->blob != NULL && reply->blob->complete ? RK_OK : RK_EINTEGRITY);
	expect("submit", RK_OK, submit(env_id));
	expect("submit: the same once more", RK_UNKNOWN_OBJECT, submit(other));
	send_fetch(env_id, 2, 0, 10);
	expect("fetch: the second of one", RK_UNKNOWN_OBJECT, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
	send_fetch(env_id, 1, len, 10);
	expect("fetch: behind its end", RK_MALFORMED, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
	send_fetch(env_id, 1, 0, 0);
	expect("fetch: nothing", RK_MALFORMED, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
	send_fetch(env_id, 33, 0, 10);
	expect("fetch: the 33rd", RK_MALFORMED, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
	send_fetch(unknown, 1, 0, 10);
	expect("fetch: of an unknown envelope", RK_UNKNOWN_OBJECT, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
	send_fetch(env_id, 1, 990, 100);
	expect("fetch", RK_OK, rawpeer_ask_tag(peer, NULL, 0, 0, NULL));
}

int main(int argc, char **argv)
{
	if (argc < 5 || !ids_from_hex(nda_id, 32, argv[3]) || !ids_from_hex(peer_org, 16, argv[4])) {
		fprintf(stderr, "usage: parts HOME carry|hostile NDA_ID PEER_ORG [FILE]\n");
		return 2;
	}
	member_open(&m, argv[1]);
	arena_raise(m.arena, (size_t)64 << 20);
	if (strcmp(argv[2], "hostile") == 0)
		try_all();
	else if (argc > 5)
		carry(argv[5]);
	rawpeer_free(peer);
	member_close(&m);
	return failed == 0 ? 0 : 1;
}
