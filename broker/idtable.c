#include "broker/idtable.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"

struct idtable {
	size_t capacity, item_size, count, bucket_mask;
	uint8_t *items;
	uint32_t *buckets; /* index + 1; 0: empty */
	uint32_t unused;   /* list of unused places by key.next */
};

static struct idtable_key *key_at(struct idtable *t, size_t i)
{
	return (struct idtable_key *)(void *)(t->items + i * t->item_size);
}

struct idtable *idtable_new(size_t capacity, size_t item_size)
{
	struct idtable *t = calloc(1, sizeof(*t));
	size_t buckets = 16;

	if (t == NULL)
		return NULL;
	while (buckets < capacity)
		buckets *= 2;
	t->capacity = capacity;
	t->item_size = item_size;
	t->bucket_mask = buckets - 1;
	t->items = calloc(capacity, item_size);
	t->buckets = calloc(buckets, sizeof(*t->buckets));
	if (t->items == NULL || t->buckets == NULL) {
		idtable_free(t);
		return NULL;
	}
	for (size_t i = capacity; i > 0; i--) {
		key_at(t, i - 1)->next = t->unused;
		t->unused = (uint32_t)i;
	}
	return t;
}

void idtable_free(struct idtable *t)
{
	if (t == NULL)
		return;
	free(t->items);
	free(t->buckets);
	free(t);
}

/* Ids are hashes or random already. */
static uint32_t *bucket_of(struct idtable *t, const uint8_t id[16], bool is_invite)
{
	return &t->buckets[(get_u64be(id) + is_invite) & t->bucket_mask];
}

void *idtable_find(struct idtable *t, const uint8_t id[16], bool is_invite)
{
	struct idtable_key *k;

	for (uint32_t i = *bucket_of(t, id, is_invite); i != 0; i = k->next) {
		k = key_at(t, i - 1);
		if (k->is_invite == is_invite && memcmp(k->id, id, 16) == 0)
			return k;
	}
	return NULL;
}

void *idtable_add(struct idtable *t, const uint8_t id[16], bool is_invite)
{
	uint32_t index = t->unused, *bucket = bucket_of(t, id, is_invite);
	struct idtable_key *k;

	if (index == 0)
		return NULL;
	k = key_at(t, index - 1);
	t->unused = k->next;
	memset(k, 0, t->item_size);
	memcpy(k->id, id, 16);
	k->is_invite = is_invite;
	k->is_used = true;
	k->next = *bucket;
	*bucket = index;
	t->count++;
	return k;
}

void idtable_remove(struct idtable *t, void *item)
{
	struct idtable_key *k = item;
	uint32_t index = (uint32_t)idtable_index(t, item) + 1, *link = bucket_of(t, k->id, k->is_invite);

	while (*link != index)
		link = &key_at(t, *link - 1)->next;
	*link = k->next;
	k->is_used = false;
	k->next = t->unused;
	t->unused = index;
	t->count--;
}

size_t idtable_count(const struct idtable *t)
{
	return t->count;
}

void *idtable_at(struct idtable *t, size_t i)
{
	if (i >= t->capacity || !key_at(t, i)->is_used)
		return NULL;
	return key_at(t, i);
}

size_t idtable_index(const struct idtable *t, const void *item)
{
	return (size_t)((const uint8_t *)item - t->items) / t->item_size;
}

size_t idtable_capacity(const struct idtable *t)
{
	return t->capacity;
}
