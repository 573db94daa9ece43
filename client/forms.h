/*
 * forms: the plain form, a confidentiality agreement in our own plain words, Japanese and English, written from the fields of terms and
 * cover alone.  So the same fields give the same bytes on every machine, and a reader can tell whether a document is the form's
 * own text or was altered.  It is marked as no legal advice.  Pure; any thread.
 */
#ifndef RENKEI_CLIENT_FORMS_H
#define RENKEI_CLIENT_FORMS_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/errcode.h"
#include "renkei.pb-c.h"

#define FORMS_PLAIN_ID "renkei-plain"
#define FORMS_PLAIN_VERSION 1
#define FORMS_DOCUMENT_NAME "agreement.txt"
#define FORMS_DOCUMENT_TYPE "text/plain; charset=utf-8"

/** Writes the document, UTF-8, in the arena: cover->language first ("ja", else English), which governs; then the other.  RK_ENOMEM. */
int forms_write(const Rk__NdaTerms *, const Rk__NdaCover *, struct arena *, struct bytes *out);

/** The statement of a signature page. */
const char *forms_statement(enum lang);

#endif
