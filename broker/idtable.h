/*
 * idtable: a bounded table of peers by id, for one thread.  Items have a fixed size and place: a pointer stays good
 * until the item is removed.  What an item holds is its owner's; it starts with a struct idtable_key.
 */
#ifndef RENKEI_BROKER_IDTABLE_H
#define RENKEI_BROKER_IDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idtable;

struct idtable_key {
	uint8_t id[16];
	bool is_invite;  /* ids of devices and of invites are told apart */
	bool is_used;
	uint32_t next;   /* the table's */
};

/** NULL without memory. */
struct idtable *idtable_new(size_t capacity, size_t item_size);
/** What the items hold was freed by their owner.  NULL is allowed. */
void idtable_free(struct idtable *);
/** The item, or NULL. */
void *idtable_find(struct idtable *, const uint8_t id[16], bool is_invite);
/** A new item, zeroed but for its key; NULL when the table is full.  The id must not be there. */
void *idtable_add(struct idtable *, const uint8_t id[16], bool is_invite);
void idtable_remove(struct idtable *, void *item);
size_t idtable_count(const struct idtable *);
/** The i-th place's item, NULL if it is unused or i is past the capacity; for walks. */
void *idtable_at(struct idtable *, size_t i);
size_t idtable_index(const struct idtable *, const void *item);
size_t idtable_capacity(const struct idtable *);

#endif
