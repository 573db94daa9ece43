/*
 * show_dossier: what the verbs of dossiers and of notices show alike: the envelope on record, its state, and what became of it at each of
 * those it was sent to; and a dossier as a page and as JSON.
 */
#ifndef RENKEI_CLI_SHOW_DOSSIER_H
#define RENKEI_CLI_SHOW_DOSSIER_H

#include "client/cli/shared.h"

/** True of what is sent under agreements: dossiers and notices. */
bool show_is_dossier(const Rkl__EnvelopeRecord *);

/** The one that the user means by an id or a unique part of it; `unknown`, which takes the text, is reported if none is wanted. */
int show_envelope_load(struct shared *, const char *given, bool (*wants)(const Rkl__EnvelopeRecord *), enum text_id unknown,
                       Rkl__EnvelopeRecord **);

/** Content that is here; NULL while it is sealed, and once it is destroyed. */
const Rk__Message *show_dossier_content(struct shared *, const Rkl__EnvelopeRecord *);

/** Words for people, in the arena or of the table; never NULL. */
const char *show_dossier_state(struct shared *, const Rkl__EnvelopeRecord *);
/* Of a notice, its kind; where there is no content, why. */
const char *show_dossier_title(struct shared *, const Rkl__EnvelopeRecord *, const Rk__Message *);
/** What became of it at one of its recipients, and when. */
const char *show_dossier_fate(struct shared *, const Rkl__EnvelopeRecord *, const uint8_t org_id[16]);
/** "none", "confidential", "strict", "no_own_secrets"; and the words for it. */
const char *show_marking_name(uint32_t marking);
const char *show_marking_text(struct shared *, uint32_t marking);

/** Which, of whom, to whom, and what became of it there: what is the same for dossiers and notices.  The id as member id_name. */
json_t *show_envelope_json(struct shared *, const Rkl__EnvelopeRecord *, const char *id_name);
/** A row of six columns: id, way, time, state, with whom, and the last one. */
void show_envelope_row(struct shared *, struct out_table *, const Rkl__EnvelopeRecord *, const char *last);
/** The beginning of a page, and what became of it: names and values on stdout. */
void show_envelope_head(struct shared *, const Rkl__EnvelopeRecord *);
void show_envelope_fates(struct shared *, const Rkl__EnvelopeRecord *);

/** NULL without memory. */
json_t *show_dossier_json(struct shared *, const Rkl__EnvelopeRecord *, const Rk__Message *);
/** The page: names and values on stdout. */
void show_dossier_lines(struct shared *, const Rkl__EnvelopeRecord *, const Rk__Message *);

/** The desk of ours that it came to, for people. */
const char *show_own_desk(struct shared *, const Rkl__EnvelopeRecord *);

#endif
