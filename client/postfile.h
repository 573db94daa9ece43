/*
 * postfile: a post as people write it: a block of `Name: value` lines, an empty line, Markdown.  Names may be English or Japanese.
 * A line that starts with a space or a tab goes on with the value above it.  Every fault has its line.
 */
#ifndef RENKEI_CLIENT_POSTFILE_H
#define RENKEI_CLIENT_POSTFILE_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

/* What may be wrong in a post that a person or another program wrote; client/cli has a sentence for each. */
enum post_fault {
	POST_FAULT_NONE,
	POST_FAULT_NOT_UTF8,
	POST_FAULT_NO_COLON,      /* a line of the block without `Name:` */
	POST_FAULT_UNKNOWN_NAME,
	POST_FAULT_TWICE,
	POST_FAULT_CONTROL,       /* control characters or bidi overrides in a value */
	POST_FAULT_TOO_LONG,      /* limit: bytes */
	POST_FAULT_BAD_TYPE,
	POST_FAULT_BAD_DATE,
	POST_FAULT_BAD_NUMBER,
	POST_FAULT_BAD_VALUE,
	POST_FAULT_TOO_MANY,      /* limit: how many */
	POST_FAULT_NO_TITLE,
	POST_FAULT_NOT_JSON,
	POST_FAULT_NOT_OBJECT,
	POST_FAULT_NOT_STRING,
	POST_FAULT_NOT_LIST,
	POST_FAULT_NO_MEMORY,
	POST_FAULT_COUNT
};

struct post_problem {
	enum post_fault fault;
	unsigned line;     /* 1…; 0: of the whole */
	char name[48];     /* the field */
	unsigned limit;
};

/** File larger than this is refused before it is read. */
#define POSTFILE_MAX_BYTES (128 * 1024)

/**
 * Parses a file; dates are days of `zone`.  *out lives in the arena; its type is CHANNEL_NONE if the file has none; *topics_given is
 * how many topics it named, of which the first 16 are in the post.  RK_OK, RK_MALFORMED with *problem, RK_ENOMEM.
 */
int postfile_parse(struct bytes file, const char *zone, struct arena *, Rk__Post **out, unsigned *topics_given,
                   struct post_problem *problem);

/** Where a piece of text is set, for both readers of posts (post_field.c). */
enum post_text {
	POST_TITLE, POST_SUMMARY, POST_BODY, POST_ADVANTAGES, POST_APPLICATIONS, POST_LANGUAGE, POST_STAGE, POST_DEADLINE, POST_REGION,
	POST_COUNTRY, POST_SOURCE, POST_SOURCE_LICENCE, POST_HOW_TO_ANSWER, POST_RULES, POST_TEASER, POST_EXTERNAL_ID, POST_TEXT_COUNT
};

/** An empty post with one text in the arena; NULL without memory. */
Rk__Post *post_field_new(struct arena *);
/** Checks and sets one text; CR LF becomes LF.  RK_MALFORMED with problem->fault and limit (line and name are the caller's). */
int post_field_set(Rk__Post *, enum post_text, struct bytes value, const char *zone, struct arena *, struct post_problem *problem);
/** Adds a topic; the 17th and later are counted by the caller, not kept.  RK_MALFORMED: empty, control characters, too long. */
int post_field_topic(Rk__Post *, struct bytes value, struct arena *, struct post_problem *problem);
/** Sets the language by the script of the text where none was given. */
void post_field_finish(Rk__Post *);

#define POST_TOPICS_MAX 16

/** OFFER … of "offer" … or 技術提供 …; CHANNEL_NONE. */
Rk__Channel post_field_type(struct bytes value);

#endif
