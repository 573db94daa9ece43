/* save_kit: stores with a journal, and what a kill leaves of one: its files as they are at that moment. */
#ifndef RENKEI_TESTS_SAVE_KIT_H
#define RENKEI_TESTS_SAVE_KIT_H

#include <sys/resource.h>

#include "tests/unit/store_kit.h"

#define SAVE_KIT_JOURNAL_BYTES ((uint64_t)256 << 10)

/** Opens folder/store as its writer, or not; the code of env_open. */
int save_kit_try(const char *folder, bool is_writer, uint64_t journal_bytes, struct env **env);
/** As writer with a journal of SAVE_KIT_JOURNAL_BYTES; asserts success. */
struct env *save_kit_open(const char *folder);
/** Copies the files of folder/store, open or not, into the store of a new folder. */
void save_kit_copy(const char *folder, char copy[256]);
/** A file of folder/store, whole; the caller frees it.  NULL: it is not there. */
uint8_t *save_kit_file(const char *folder, const char *name, size_t *len);
void save_kit_set_file(const char *folder, const char *name, const uint8_t *data, size_t len);

/** Asserts that this row of T_META is there, or with NULL that it is not; in the store, as the last commit left it. */
void save_kit_check(struct txn *, const char *key, const char *value);
void save_kit_check_in(struct env *, const char *key, const char *value);

/** As if the disk were full behind this length of a file, for this process; RLIM_INFINITY ends it. */
void save_kit_limit_files(rlim_t bytes);

#endif
