/*
 * archive: a plain tar archive inside one age file under a recovery code: backups of a home, and the history that a new device gets.
 * `age -d FILE | tar tv` lists it.  Streaming both ways: memory does not grow with the file.  An age file says at its very end whether it
 * is whole: what was read from one counts for nothing before archive_next has said RK_ENOTFOUND.
 * Descriptors stay the caller's.  One thread.
 */
#ifndef RENKEI_CLIENT_ARCHIVE_H
#define RENKEI_CLIENT_ARCHIVE_H

#include "proto/bytes.h"
#include "proto/errcode.h"
#include "proto/ustar.h"

#define ARCHIVE_LOG_N 15u     /* scrypt: 32 MiB; the code has 130 bits of its own */
#define ARCHIVE_LOG_N_MAX 20u /* read: 1 GiB */

/* What both sides call now and then, and at least once a chunk: bytes so far of the archive; not RK_OK ends it with that code. */
typedef int archive_step(void *user, uint64_t bytes);

/* ---- writing: begin, members one after the other, end, free.  An error is sticky. */
struct archive_writer;
/** RK_ENOMEM, RK_EIO (errno says), RK_EDISKFULL.  step may be NULL. */
int archive_begin(int fd, struct bytes code, archive_step *step, void *user, struct archive_writer **out);
/** The next member: exactly len bytes must follow by archive_write.  RK_MALFORMED: the name. */
int archive_member(struct archive_writer *, const char *name, uint64_t len);
int archive_write(struct archive_writer *, struct bytes data);
int archive_add_bytes(struct archive_writer *, const char *name, struct bytes data);
/** The whole of a regular file, from its start.  RK_EIO: it became shorter while it was read. */
int archive_add_file(struct archive_writer *, const char *name, int fd);
/** The end; only a file that got it can be read.  No fsync.  RK_EINTERNAL: a member is not whole. */
int archive_end(struct archive_writer *);
/** Wipes; NULL is fine. */
void archive_writer_free(struct archive_writer *);

/* ---- reading: open, then members in their order until RK_ENOTFOUND */
struct archive_reader;
/** RK_MALFORMED: no age file of this form; RK_EPASSPHRASE: the code is wrong; RK_EINTEGRITY: damaged. */
int archive_open(int fd, struct bytes code, archive_step *step, void *user, struct archive_reader **out);
/** What is left of the member before is passed over.  RK_ENOTFOUND: that was all, and the file is whole; RK_EINTEGRITY: damaged or cut
 *  off; RK_MALFORMED: what was sealed is no archive. */
int archive_next(struct archive_reader *, char name[USTAR_NAME_CHARS], uint64_t *len);
/** The next bytes of the member; *n 0 at its end. */
int archive_read(struct archive_reader *, uint8_t *out, size_t room, size_t *n);
/** The rest of the member, to a descriptor. */
int archive_save(struct archive_reader *, int fd);
void archive_reader_free(struct archive_reader *);

#endif
