/*
 * source: the bytes of one thing that is to be sent, read once from beginning to end: a regular file as it is, or a folder as a ustar
 * archive NAME.tar, made while it is read.  The length is known before the first byte; what changes between the first look and
 * the last byte is refused, because what was promised (length, hash) would not be what is sent.
 * Memory does not grow with the files; it does with their number, which is bounded.
 */
#ifndef RENKEI_CLIENT_SOURCE_H
#define RENKEI_CLIENT_SOURCE_H

#include "proto/bytes.h"
#include "proto/errcode.h"

#define SOURCE_NAME_MAX_BYTES 200   /* DossierFile.name */
#define SOURCE_PATH_CHARS 4096
#define SOURCE_MEMBERS_MAX 20000    /* of a folder */
#define SOURCE_DEPTH_MAX 64

struct source;

/**
 * Looks at a file or a folder.  problem[SOURCE_PATH_CHARS] names what a refusal is about: the path given, or something in the folder.
 * RK_ENOTFOUND; RK_EIO (errno); RK_EUSAGE: the path itself is no file or folder, is empty, or has a name that cannot be shown;
 * RK_UNSUPPORTED: in the folder is a link, a device, a pipe, or a name or path that an archive cannot hold; RK_TOO_LARGE: more than
 * max_bytes, or more than SOURCE_MEMBERS_MAX.
 */
int source_open(const char *path, uint64_t max_bytes, char problem[SOURCE_PATH_CHARS], struct source **out);
void source_close(struct source *);

/** Base name as the recipient sees it; NAME.tar of a folder. */
const char *source_name(const struct source *);
uint64_t source_len(const struct source *);
bool source_is_folder(const struct source *);

/** The next bytes, fewer than room only at the end.  RK_CONFLICT: something has changed since source_open; RK_EIO. */
int source_read(struct source *, uint8_t *out, size_t room, size_t *n);
/** After the last byte: is everything still as it was?  RK_CONFLICT. */
int source_check(struct source *);

#endif
