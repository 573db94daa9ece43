#include "broker/signer.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/metrics.h"

struct signer {
	pthread_mutex_t lock;       /* never held while signing: apply takes it after each commit that grew the log */
	const uint8_t *log_sk;
	struct checkpoint newest, signed_one;
	struct note note;           /* of signed_one */
	bool is_stopped;
};

struct signer *signer_new(const uint8_t log_sk[64])
{
	struct signer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->log_sk = log_sk;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void signer_free(struct signer *s)
{
	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void signer_commit(struct signer *s, const struct checkpoint *c)
{
	pthread_mutex_lock(&s->lock);
	s->newest = *c;
	pthread_mutex_unlock(&s->lock);
}

void signer_stop(struct signer *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_stopped = true;
	pthread_mutex_unlock(&s->lock);
}

/* Ed25519 gives the same bytes for the same text, so two who sign one tree at once do no harm. */
bool signer_newest(struct signer *s, struct checkpoint *c, struct note *note)
{
	bool may, is_signed;

	pthread_mutex_lock(&s->lock);
	may = !s->is_stopped && s->newest.size > 0;
	is_signed = s->signed_one.size == s->newest.size;
	*c = s->newest;
	if (is_signed)
		*note = s->note;
	pthread_mutex_unlock(&s->lock);
	if (!may || is_signed)
		return may;
	note_sign(note, c, s->log_sk);
	metrics_add(M_SIGNED, 1);
	pthread_mutex_lock(&s->lock);
	/* Signed while we stopped: it is durable and true, but it does not leave. */
	may = !s->is_stopped;
	if (may && c->size > s->signed_one.size) {
		s->signed_one = *c;
		s->note = *note;
	}
	pthread_mutex_unlock(&s->lock);
	return may;
}

uint64_t signer_size(struct signer *s)
{
	uint64_t size;

	pthread_mutex_lock(&s->lock);
	size = s->newest.size;
	pthread_mutex_unlock(&s->lock);
	return size;
}

bool signer_last(struct signer *s, struct note *note)
{
	bool any;

	pthread_mutex_lock(&s->lock);
	any = s->signed_one.size > 0;
	*note = s->note;
	pthread_mutex_unlock(&s->lock);
	return any;
}
