/*
 * mend: text of other systems whose characters were damaged on the way, as is common in exports: Windows-1252 read as Latin-1, UTF-8
 * read as Latin-1, stray control characters.  What people wrote themselves is never mended but refused, with the line.
 */
#ifndef RENKEI_CLIENT_MEND_H
#define RENKEI_CLIENT_MEND_H

#include "proto/arena.h"
#include "proto/bytes.h"

/**
 * Valid UTF-8 in, valid UTF-8 without control characters (TAB, LF and CR stay unless one_line) out: *out is `in` itself where nothing
 * had to be done, else in the arena, and *mended is set; it is never cleared.  RK_OK or RK_ENOMEM.
 */
int mend_text(struct bytes in, bool one_line, struct arena *, struct bytes *out, bool *mended);

#endif
