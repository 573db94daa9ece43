/*
 * show_attach: how many attachments an envelope has and how large they are, for lists, pages and JSON: its signed header says so before
 * anything is picked up.
 */
#ifndef RENKEI_CLI_SHOW_ATTACH_H
#define RENKEI_CLI_SHOW_ATTACH_H

#include "client/cli/shared.h"

/** Number and bytes, as sealed; 0 and 0 where there are none. */
unsigned show_attach_of(struct shared *, const Rkl__EnvelopeRecord *, uint64_t *bytes);

/** The title, followed by what is attached; in the arena, or as given. */
const char *show_attach_title(struct shared *, const Rkl__EnvelopeRecord *, const char *title);
/** "1234 bytes and 2 attachments of 80.0 MiB". */
const char *show_attach_size(struct shared *, const Rkl__EnvelopeRecord *);
/** One file of a dossier as a line, and as JSON. */
const char *show_attach_file(struct shared *, const Rk__DossierFile *);
json_t *show_attach_file_json(const Rk__DossierFile *);
/** Members "attachments" and "attachment_bytes". */
void show_attach_json(struct shared *, const Rkl__EnvelopeRecord *, json_t *);

/** For people: that dossiers are still on their way, if there are any. */
void show_attach_under_way(struct shared *);

#endif
