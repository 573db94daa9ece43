/*
 * kill_sign: kills the broker at random instants while members make its log grow and ask for checkpoints, and proves that it never
 * signed two trees of one size, and that all that it signed is one history (P5; TESTPLAN 2 D).
 *
 *   kill_sign BROKER DATA ROUNDS SEED HOME...
 *
 * The broker is tests/e2e/liar with its lie `slow`, which is none: it only waits a little after each commit before the signer is told, and
 * after each signature before it leaves, so that kills fall into both gaps.  Each member is a process: it deposits until its day's share is
 * used up, and all the time asks for the newest checkpoint with the proof from its last one; what verifies goes to its history.
 */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "tests/unit/member.h"
#include "tests/unit/process_kit.h"

#define MEMBERS_MAX 8
#define TREES_MAX 100000

static volatile sig_atomic_t stopping;

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

struct watcher {
	struct member m;
	struct note_key log;
	struct rawpeer *peer;
	uint8_t epoch[8];
	struct checkpoint last;
	unsigned deposits, shown;
	bool is_full;              /* its deposits of the day are used up */
	FILE *history;
};

static int fail(const char *what)
{
	fprintf(stderr, "kill_sign: %s\n", what);
	return 1;
}

static bool connect_again(struct watcher *w)
{
	rawpeer_free(w->peer);
	w->peer = member_connect(&w->m);
	rawpeer_timeout(w->peer, 700);
	return rawpeer_hello(w->peer) == RK_OK;
}

static void deposit(struct watcher *w)
{
	Rk__Deposit d = RK__DEPOSIT__INIT;
	Rk__Request q = RK__REQUEST__INIT;
	struct arena *a = arena_new(1 << 16);
	uint8_t commit[32], sha[32];
	struct bytes wire;
	int code;

	randombytes_buf(commit, sizeof(commit));
	d.version = 1;
	d.org_id = pb_of(bytes_make(client_org_id(w->m.client), 16));
	d.device_id = pb_of(bytes_make(client_device_id(w->m.client), 16));
	d.commit = pb_of(BYTES_OF(commit));
	d.time = process_wall_ms();
	if (object_make(OBJECT_KIND_DEPOSIT, client_exchange_id(w->m.client), keys_sign_sk(w->m.client, KEY_DEVICE), &d.base, a, &wire) ==
	    RK_OK) {
		ids_sha256(sha, wire);
		q.op = RK__OP__OP_DEPOSIT;
		q.object_sha256 = pb_of(BYTES_OF(sha));
		q.object_len = (uint32_t)wire.len;
		code = rawpeer_numbered(w->peer, &q, &wire, 1, NULL);
		w->deposits += code == RK_OK;
		w->is_full = code == RK_QUOTA;
	}
	arena_free(a);
}

/* The proof from what this member saw last; its first checkpoint has none. */
static int check_grown(struct watcher *w, const struct checkpoint *now)
{
	struct bytes set_frame = {0}; /* there is none where it would be empty: for the same tree again */
	struct arena *a = arena_new(1 << 16);
	Rk__ProofSet *set;
	int r = RK_BAD_SIGNATURE;

	(void)rawpeer_reply_frames(w->peer, &set_frame, 1);
	if (w->last.size == 0)
		r = RK_OK;
	else if (STRICT_PARSE(proof_set, set_frame, a, &set) == RK_OK)
		r = merkle_check_consistency(w->last.size, w->last.root, now->size, now->root,
		                             (const merkle_hash *)set->consistency.data, set->consistency.len / 32);
	arena_free(a);
	return r;
}

static int look(struct watcher *w)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetProof proof = RK__GET_PROOF__INIT;
	const Rk__Reply *reply;
	struct note_opened o;
	char root[65];
	int code;

	proof.from_size = w->last.size;
	q.op = RK__OP__OP_GET_PROOF;
	q.get_proof = &proof;
	code = rawpeer_call(w->peer, &q, NULL, 0, &reply);
	if (code != RK_OK || reply->proof == NULL)
		return code == RK_UNKNOWN_OBJECT && w->last.size > 0 ? fail("the broker does not have a tree that it has signed") : 0;
	if (note_open(bytes_of(reply->proof->note), &w->log, NULL, &o) != RK_OK)
		return fail("a note that does not verify");
	if (check_grown(w, &o.checkpoint) != RK_OK)
		return fail("two checkpoints of one member are no one history");
	ids_hex(root, BYTES_OF(o.checkpoint.root));
	fprintf(w->history, "%llu %s\n", (unsigned long long)o.checkpoint.size, root);
	fflush(w->history);
	w->last = o.checkpoint;
	w->shown++;
	return 0;
}

static int watch(const char *home, const char *path)
{
	struct watcher w = {.history = fopen(path, "w")};
	Rk__Charter *charter;
	struct txn *txn;
	unsigned turn = 0;
	int wrong = 0;

	signal(SIGTERM, on_term);
	member_open(&w.m, home);
	if (w.history == NULL || env_begin(client_env(w.m.client), false, &txn) != RK_OK ||
	    book_charter(w.m.client, txn, w.m.arena, &charter) != RK_OK || note_key_parse(&w.log, charter->log_vkey) != RK_OK)
		return fail("no charter");
	env_abort(txn);
	while (!stopping && wrong == 0) {
		if (w.peer == NULL && !connect_again(&w)) {
			rawpeer_free(w.peer);
			w.peer = NULL;
			continue;
		}
		if (!w.is_full && turn++ % 4 == 0)
			deposit(&w);
		wrong = look(&w);
		if (rawpeer_hello(w.peer) == RAWPEER_NO_REPLY) {
			rawpeer_free(w.peer);
			w.peer = NULL;
		}
		process_pause_ms(15);
	}
	printf("member: %u deposits, %u checkpoints\n", w.deposits, w.shown);
	fclose(w.history);
	rawpeer_free(w.peer);
	member_close(&w.m);
	return wrong;
}

/* ---- the parent */

static struct {
	uint64_t size;
	char root[65];
} trees[TREES_MAX];
static size_t tree_count;

/* One root for each size, whoever saw it and before or after whichever kill. */
static int add_tree(uint64_t size, const char *root)
{
	for (size_t i = 0; i < tree_count; i++)
		if (trees[i].size == size)
			return strcmp(trees[i].root, root) == 0 ? 0 : fail("two signed trees of one size");
	if (tree_count == TREES_MAX)
		return fail("too many trees");
	trees[tree_count].size = size;
	strcpy(trees[tree_count++].root, root);
	return 0;
}

static int read_history(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long long size;
	char root[65];
	int wrong = f == NULL;

	while (f != NULL && fscanf(f, "%llu %64s", &size, root) == 2)
		wrong += add_tree(size, root);
	if (f != NULL)
		fclose(f);
	return wrong;
}

int main(int argc, char **argv)
{
	pid_t members[MEMBERS_MAX], broker;
	char log[512], paths[MEMBERS_MAX][512];
	int count = argc - 5, status, failed = 0, kills = 0, rounds;

	if (argc < 6 || count > MEMBERS_MAX) {
		fprintf(stderr, "usage: kill_sign BROKER DATA ROUNDS SEED HOME...\n");
		return 2;
	}
	rounds = atoi(argv[3]);
	srand((unsigned)atoi(argv[4]));
	snprintf(log, sizeof(log), "%s.log", argv[2]);
	printf("kill_sign: seed %s, %d rounds, %d members\n", argv[4], rounds, count);
	fflush(stdout);
	broker = process_broker(argv[1], argv[2], log);
	process_pause_ms(500);
	for (int i = 0; i < count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s.signed%d", argv[2], i);
		if ((members[i] = fork()) == 0)
			_exit(watch(argv[5 + i], paths[i]));
	}
	process_pause_ms(2500); /* the members unlock their keys */
	for (int r = 0; r < rounds; r++) {
		process_pause_ms(100 + rand() % 200);
		kill(broker, SIGKILL);
		waitpid(broker, &status, 0);
		kills += WIFSIGNALED(status);
		broker = process_broker(argv[1], argv[2], log);
	}
	process_pause_ms(1500);
	for (int i = 0; i < count; i++)
		kill(members[i], SIGTERM);
	for (int i = 0; i < count; i++) {
		waitpid(members[i], &status, 0);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		failed += read_history(paths[i]);
	}
	kill(broker, SIGTERM);
	waitpid(broker, &status, 0);
	failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	printf("crash: %d kills, %zu different trees signed, %d faults\n", kills, tree_count, failed);
	/* A run in which hardly anything was signed proves nothing. */
	return failed == 0 && kills == rounds && tree_count > (size_t)rounds / 2 ? 0 : 1;
}
