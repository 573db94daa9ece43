/*
 * jsonl: posts as other systems give them: one JSON object a line with kind, title, summary, body, topics[], deadline, source and
 * optionally id, language, region.  Unknown keys do not matter.  One line's fault is that line's alone.
 */
#ifndef RENKEI_CLIENT_JSONL_H
#define RENKEI_CLIENT_JSONL_H

#include "client/postfile.h"

#define JSONL_LINE_MAX_BYTES (512 * 1024)

struct jsonl_record {
	Rk__Post *post;            /* in the arena */
	bool title_from_summary;   /* it had none */
	unsigned topics_given;     /* of which the first 16 are kept */
	bool mended;               /* damaged characters were replaced (mend.h) */
};

/**
 * Reads one line.  The post's external_id is `id`, else made of source and title, so that the same record is the same post whatever
 * file it comes from.  RK_OK, RK_MALFORMED with *problem (its line is the caller's), RK_ENOMEM.
 */
int jsonl_read(struct bytes line, const char *zone, struct arena *, struct jsonl_record *out, struct post_problem *problem);

#endif
