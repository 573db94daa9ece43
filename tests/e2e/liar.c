/*
 * liar run --data DIR [LIE…]: the broker as it is, with a few of its functions replaced by the linker (--wrap): what a malicious operator could
 * run in its place.  A lie is told while the file DIR/lie/LIE exists, so that a scenario can begin honestly.
 *
 *   hide-terminate   a TERMINATE goes to the mailbox of the one who signed it alone
 *   other-leaf       the tree gets another leaf than the one that is told with a disclosure or a pickup
 *   other-list       the same with a device list
 *   no-pickup        a Pickup releases, but is neither logged nor shown to the sender
 *   false-pickup     the same, and the answer says that it was logged
 *   bulk-with-head   the content of a dossier is delivered with its head, before anybody signed for it
 *   other-root       checkpoints are signed over a root that is not the tree's
 *   blind            checkpoints that members show are not looked at: an older store goes on as if nothing were
 *   slow             no lie: it waits a little after a commit before the signer is told, and after a signature before it leaves
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "broker/apply_internal.h"
#include "broker/cmd.h"
#include "broker/signer.h"
#include "store/stream.h"

static const char *folder;

static bool tells(const char *lie)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/lie/%s", folder, lie);
	return access(path, F_OK) == 0;
}

static bool hides_pickups(void)
{
	return tells("no-pickup") || tells("false-pickup");
}

/* ---- what entries say, and to whom */

int __real_stream_append(struct txn *, const struct stream_id *, size_t, struct stream_entry *, uint64_t *, uint64_t *);
int __wrap_stream_append(struct txn *, const struct stream_id *, size_t, struct stream_entry *, uint64_t *, uint64_t *);

/* The organisation of a TERMINATE, or NULL. */
static const uint8_t *terminator(const struct stream_entry *e, struct arena *a)
{
	struct object o;
	const Rk__NdaAct *act;

	if (e->kind != RK__ENTRY_KIND__ENTRY_NDA_ACT || object_parse(OBJECT_KIND_NDA_ACT, e->object, a, &o) != RK_OK)
		return NULL;
	act = (const Rk__NdaAct *)(const void *)o.message;
	return act->kind == RK__ACT_KIND__TERMINATE ? act->org_id.data : NULL;
}

int __wrap_stream_append(struct txn *t, const struct stream_id *streams, size_t n, struct stream_entry *e, uint64_t *position,
                         uint64_t *seqs)
{
	static const uint8_t nobody[16];
	struct stream_id only;
	struct arena *a = arena_new(arena_budget(e->object.len));
	const uint8_t *org = tells("hide-terminate") ? terminator(e, a) : NULL;
	int r;

	if (e->kind == RK__ENTRY_KIND__ENTRY_ENVELOPE && tells("bulk-with-head"))
		e->flags &= (uint8_t)~STREAM_HEAD_ONLY;
	if (e->kind == RK__ENTRY_KIND__ENTRY_PICKUP && hides_pickups())
		org = nobody;
	if (org != NULL) {
		uint64_t seq = 0;

		only = stream_mailbox(org);
		r = __real_stream_append(t, &only, 1, e, position, &seq);
		/* The effects go on as if all had got it; a mailbox that did not grow has nothing to deliver. */
		for (size_t i = 0; i < n; i++) {
			uint64_t first, head = 0;

			seqs[i] = stream_bounds(t, &streams[i], &first, &head) == RK_OK ? head : seq;
		}
	} else {
		r = __real_stream_append(t, streams, n, e, position, seqs);
	}
	arena_free(a);
	return r;
}

/* ---- the log */

void __real_merkle_leaf(merkle_hash out, struct bytes entry);
void __wrap_merkle_leaf(merkle_hash out, struct bytes entry);

void __wrap_merkle_leaf(merkle_hash out, struct bytes entry)
{
	/* version and type are the first two fields of one byte each. */
	bool is_disclosure = entry.len > 4 && (entry.data[3] == RK__LOG_TYPE__LOG_DISCLOSURE || entry.data[3] == RK__LOG_TYPE__LOG_PICKUP);

	bool is_list = entry.len > 4 && entry.data[3] == RK__LOG_TYPE__LOG_ORG_DEVICES;

	__real_merkle_leaf(out, entry);
	if ((is_disclosure && tells("other-leaf")) || (is_list && tells("other-list")))
		out[0] ^= 1;
}

int __real_apply_batch_log(struct apply *, Rk__LogType, const uint8_t[32], uint64_t *);
int __wrap_apply_batch_log(struct apply *, Rk__LogType, const uint8_t[32], uint64_t *);

int __wrap_apply_batch_log(struct apply *a, Rk__LogType type, const uint8_t oh[32], uint64_t *index)
{
	if (type != RK__LOG_TYPE__LOG_PICKUP || !hides_pickups())
		return __real_apply_batch_log(a, type, oh, index);
	*index = 0;
	return RK_OK;
}

int __real_apply_release_pickup(struct apply *, struct command *, struct member *, struct result *);
int __wrap_apply_release_pickup(struct apply *, struct command *, struct member *, struct result *);

int __wrap_apply_release_pickup(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	int code = __real_apply_release_pickup(a, c, m, r);

	if (hides_pickups())
		r->logged = tells("false-pickup");
	return code;
}

/* ---- what is signed, and what is seen */

static const uint8_t *log_sk;

void __real_note_sign(struct note *, const struct checkpoint *, const uint8_t sk[64]);
void __wrap_note_sign(struct note *, const struct checkpoint *, const uint8_t sk[64]);

static void wait_a_little(void)
{
	struct timespec t = {.tv_nsec = (long)randombytes_uniform(20000000)};

	if (tells("slow"))
		nanosleep(&t, NULL);
}

void __wrap_note_sign(struct note *n, const struct checkpoint *c, const uint8_t sk[64])
{
	log_sk = sk;
	__real_note_sign(n, c, sk);
	wait_a_little();
}

void __real_signer_commit(struct signer *, const struct checkpoint *);
void __wrap_signer_commit(struct signer *, const struct checkpoint *);

void __wrap_signer_commit(struct signer *s, const struct checkpoint *c)
{
	wait_a_little();
	__real_signer_commit(s, c);
}

bool __real_signer_newest(struct signer *, struct checkpoint *, struct note *);
bool __wrap_signer_newest(struct signer *, struct checkpoint *, struct note *);

bool __wrap_signer_newest(struct signer *s, struct checkpoint *c, struct note *n)
{
	bool any = __real_signer_newest(s, c, n);

	if (any && log_sk != NULL && tells("other-root")) {
		c->root[0] ^= 1;
		__real_note_sign(n, c, log_sk);
	}
	return any;
}

int __real_apply_log_seen(struct apply *, const struct checkpoint *);
int __wrap_apply_log_seen(struct apply *, const struct checkpoint *);

int __wrap_apply_log_seen(struct apply *a, const struct checkpoint *c)
{
	return tells("blind") ? RK_OK : __real_apply_log_seen(a, c);
}

int main(int argc, char **argv)
{
	struct cmd_options o = {0};

	if (argc != 4 || strcmp(argv[1], "run") != 0 || strcmp(argv[2], "--data") != 0 || sodium_init() < 0) {
		fprintf(stderr, "usage: liar run --data DIR\n");
		return 2;
	}
	o.data = folder = argv[3];
	return cmd_run(&o);
}
