/*
 * show: what several verbs print alike: a post as a line, as a page and as JSON, and one organisation's name.
 */
#ifndef RENKEI_CLI_SHOW_H
#define RENKEI_CLI_SHOW_H

#include <jansson.h>

#include "client/cli/cli.h"
#include "client/post.h"
#include "proto/receipt.h"

/** post_id, type, title, summary, topics, author, org_id, stream, seq, version, status, time, expires_at …; NULL without memory. */
json_t *show_post_json(struct cli *, struct txn *, const struct post_view *, struct arena *);
/** "live", "withdrawn", "expired", "sealed"; and the title, or what stands in its place. */
const char *show_post_status(Rkl__PostStatus);
const char *show_post_title(struct cli *, const struct post_view *);
/** The language of texts to prefer: "ja" or "en". */
const char *show_lang(const struct cli *);

/** The name that an applicant gives itself, in a language, else its first. */
const char *show_enrol_name(const Rk__Enrol *, enum lang);

/** What a receipt's level says; of a deposit nobody but the depositor is spoken of. */
enum text_id show_receipt_level(const struct receipt *);

/** Runs fn in a read transaction with an arena: for verbs that look things up. */
int show_read(struct cli *, int (*fn)(struct cli *, struct txn *, struct arena *, void *), void *user);

/** The post that the user means by an id or a unique part of it, reported if there is none. */
int show_find_post(struct cli *, struct txn *, const char *text, uint8_t post_id[32]);

#endif
