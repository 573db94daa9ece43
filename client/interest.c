#include "client/interest.h"

#include <sodium.h>

#include "client/mail.h"
#include "proto/nda.h"
#include "proto/strict.h"

#define INTEREST_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)

/* Numbers on the wire: position + 1.  Only ever added to. */
static const char *const reasons[] = {
	"not-a-fit", "no-capacity", "already-partnered", "too-early", "terms", "competitor", "budget", "region", "closed", "other",
};
#define REASON_COUNT (sizeof(reasons) / sizeof(reasons[0]))

/* Bits of Sought.cooperation, lowest first. */
static const char *const cooperations[] = {
	"licence", "joint-rd", "manufacture", "test", "sales", "assistance", "investment", "venture",
};
#define COOPERATION_COUNT (sizeof(cooperations) / sizeof(cooperations[0]))

int interest_reason(const char *name, uint32_t *reason)
{
	for (uint32_t i = 0; i < REASON_COUNT; i++)
		if (strcmp(name, reasons[i]) == 0) {
			*reason = i + 1;
			return RK_OK;
		}
	return RK_EUSAGE;
}

const char *interest_reason_name(uint32_t reason)
{
	if (reason == 0)
		return "";
	return reason <= REASON_COUNT ? reasons[reason - 1] : "other";
}

int interest_cooperation(const char *name, uint32_t *bit)
{
	for (uint32_t i = 0; i < COOPERATION_COUNT; i++)
		if (strcmp(name, cooperations[i]) == 0) {
			*bit = 1u << i;
			return RK_OK;
		}
	return RK_EUSAGE;
}

const char *interest_cooperation_at(unsigned bit)
{
	return bit < COOPERATION_COUNT ? cooperations[bit] : NULL;
}

static int queue_open(struct client *c, struct txn *t, const char *what, const uint8_t *to, const uint8_t *thread_id,
                      const uint8_t *prev, const Rk__Message *m, struct bytes ref, struct arena *a, uint64_t *item)
{
	Rk__EnvelopeHeader header = RK__ENVELOPE_HEADER__INIT;
	Rk__Recipient recipient = RK__RECIPIENT__INIT, *list = &recipient;
	ProtobufCBinaryData before = prev != NULL ? pb_of(bytes_make(prev, 32)) : (ProtobufCBinaryData){0, NULL};
	struct outbox_request request = {.op = RK__OP__OP_SUBMIT, .what = what, .header = &header,
	                                 .lifetime_ms = INTEREST_LIFETIME_MS, .ref = ref};
	int r;

	if ((r = STRICT_PACK(m, a, &request.message)) != RK_OK)
		return r;
	/* Padding and salt must fit too; the texts of one Interest can be more than an OPEN envelope takes. */
	if (request.message.len + ENVELOPE_SALT_BYTES + ENVELOPE_PAD_BYTES + 16 > ENVELOPE_SMALL_BODY_MAX_BYTES)
		return RK_TOO_LARGE;
	header.kind = RK__KIND__OPEN;
	recipient.org_id = pb_of(bytes_make(to, 16));
	header.recipients = &list;
	header.n_recipients = 1;
	header.thread_id = pb_of(bytes_make(thread_id, 16));
	header.prev = &before;
	header.n_prev = prev != NULL ? 1 : 0;
	return outbox_add(c, t, &request, item);
}

static bool is_empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

int interest_send(struct client *c, struct txn *t, const struct interest_new *n, struct arena *a, uint64_t *item)
{
	Rk__Interest interest = RK__INTEREST__INIT;
	Rk__Message m = RK__MESSAGE__INIT;
	Rkl__PostRecord *post;
	uint8_t thread_id[16];
	int r;

	r = record_get(t, C_POST, bytes_make(n->post_id, 32), &rkl__post_record__descriptor, a, (ProtobufCMessage **)&post);
	if (r != RK_OK)
		return r;
	if (memcmp(post->sender_org.data, client_org_id(c), 16) == 0)
		return RK_NOT_PERMITTED;
	if (post->status == RKL__POST_STATUS__WITHDRAWN || post->status == RKL__POST_STATUS__EXPIRED ||
	    (post->expires_at != 0 && post->expires_at <= client_now(c)))
		return RK_CONFLICT;
	if (is_empty(n->message) && is_empty(n->about) && is_empty(n->contact))
		return RK_EUSAGE;
	interest.post_id = pb_of(bytes_make(n->post_id, 32));
	interest.post_version = post->version;
	interest.cooperation = n->cooperation;
	interest.about_us = pb_text(n->about);
	interest.contact = pb_text(n->contact);
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_INTEREST;
	m.interest = &interest;
	m.text = pb_text(n->message);
	randombytes_buf(thread_id, sizeof(thread_id));
	return queue_open(c, t, "interest send", post->sender_org.data, thread_id, NULL, &m, bytes_make(n->post_id, 32), a, item);
}

int interest_answer(struct client *c, struct txn *t, const uint8_t env_id[32], Rk__InterestOutcome outcome, uint32_t reason,
                    const char *note, struct arena *a, uint64_t *item)
{
	Rk__InterestReply reply = RK__INTEREST_REPLY__INIT;
	Rk__Message m = RK__MESSAGE__INIT;
	Rkl__EnvelopeRecord *asked;
	uint8_t thread_id[16];
	int r;

	if ((r = mail_load(t, env_id, a, &asked)) != RK_OK)
		return r;
	if (asked->outgoing)
		return RK_NOT_PERMITTED;
	if (asked->kind != RK__KIND__OPEN || asked->message_type != RK__MESSAGE_TYPE__MESSAGE_INTEREST)
		return RK_ENOTFOUND;
	if (asked->outcome != RK__INTEREST_OUTCOME__OUTCOME_NONE)
		return RK_CONFLICT;
	reply.outcome = outcome;
	reply.reason = reason;
	reply.note = pb_text(note);
	reply.in_reply_to = pb_of(bytes_make(env_id, 32));
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_INTEREST_REPLY;
	m.interest_reply = &reply;
	randombytes_buf(thread_id, sizeof(thread_id));
	if (asked->thread_id.len == 16)
		memcpy(thread_id, asked->thread_id.data, 16);
	return queue_open(c, t, outcome == RK__INTEREST_OUTCOME__ACCEPTED ? "interest accept" : "interest decline",
	                  asked->sender_org.data, thread_id, env_id, &m, bytes_make(env_id, 32), a, item);
}
