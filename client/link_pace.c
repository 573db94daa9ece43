/*
 * link_pace: how fast an attachment goes up.  Nobody tells how many bytes a second the broker lets pass, and what is too much vanishes.  So
 * we send as fast as we can until something is lost, then a little slower than that, then carefully faster again.
 */
#include "client/link_internal.h"

#define PACE_WINDOW_MS 1000
#define PACE_PASSED 0.9    /* of what has passed until something was lost */
#define PACE_DOWN 0.7      /* of the pace, where nothing has */
#define PACE_UP 1.05
#define PACE_MIN (64.0 * 1024) /* bytes a second */

void pace_down(struct link_upload *u)
{
	int64_t elapsed = u->passed_at - u->passed_from;

	if (u->passed >= 2 * BLOB_PART_BYTES && elapsed > 0)
		u->pace = (double)u->passed * 1000.0 / (double)elapsed * PACE_PASSED;
	else
		u->pace *= PACE_DOWN;
	if (u->pace > 0 && u->pace < PACE_MIN)
		u->pace = PACE_MIN;
	u->paced_bytes = 0;
	u->paced_at = monotonic_ms();
}

/* From the answer to a question on, what passes is measured anew. */
void pace_begin(struct link_upload *u)
{
	u->passed = u->paced_bytes = 0;
	u->passed_from = u->passed_at = u->paced_at = monotonic_ms();
}

void pace_passed(struct link_upload *u, const struct blob_flight *f)
{
	int64_t took;

	u->passed += f->len;
	u->passed_at = monotonic_ms();
	took = u->passed_at - f->sent_at;
	u->usual_ms = u->usual_ms == 0 ? took : (7 * u->usual_ms + took) / 8;
}

/* What is answered in no time as a rule need not be waited for long. */
int64_t pace_lost_after_ms(const struct link_upload *u)
{
	int64_t ms = 8 * u->usual_ms;

	return u->usual_ms == 0 || ms > BLOB_LOST_MS ? BLOB_LOST_MS : ms < BLOB_LOST_MS / 6 ? BLOB_LOST_MS / 6 : ms;
}

bool pace_may_send(struct link *l, uint32_t len)
{
	struct link_upload *u = &l->blob.up;
	int64_t now = monotonic_ms(), elapsed = now - u->paced_at;

	if (elapsed >= PACE_WINDOW_MS) {
		u->pace *= PACE_UP;
		u->paced_at = now;
		u->paced_bytes = 0;
		elapsed = 0;
	}
	if (u->pace > 0 && (double)u->paced_bytes > u->pace * (double)elapsed / 1000.0)
		return false;
	/* What is large is paid for by its bytes alone, there too. */
	if (len < BLOB_BYTES_ALONE && !send_token_bulk(l))
		return false;
	u->paced_bytes += len;
	return true;
}
