/* store_kit: throw-away folders and stores for tests. */
#ifndef RENKEI_TESTS_STORE_KIT_H
#define RENKEI_TESTS_STORE_KIT_H

#include "store/env.h"

#define STORE_KIT_MAP_BYTES (64u << 20)

/** A new empty folder under TMPDIR or /tmp; `path` has room for 256.  Aborts if there is none. */
void store_kit_folder(char path[256]);
/** Removes a folder and all in it. */
void store_kit_remove(const char *path);

/** Options of a broker store in folder/store. */
struct env_options store_kit_options(const char *folder, char path[256]);
/** Opens that store with a map of map_bytes (0: STORE_KIT_MAP_BYTES); asserts success. */
struct env *store_kit_open(const char *folder, uint64_t map_bytes);
/** The same as the store's one writer, with a journal of so many bytes. */
struct env *store_kit_open_writer(const char *folder, uint64_t map_bytes, uint64_t journal_bytes);
/** Length of folder/store/data.mdb. */
uint64_t store_kit_file_bytes(const char *folder);

/** Do both hold the same tables, keys and values? */
bool store_kit_equal(struct env *a, struct env *b);

#endif
