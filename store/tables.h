/*
 * tables: the tables of the broker's store, and nothing else.  Keys and values: store/DESIGN.md.
 */
#ifndef RENKEI_STORE_TABLES_H
#define RENKEI_STORE_TABLES_H

#include "store/env.h"

#define STORE_FORMAT 3

/* The journal names a table by its number: a new one goes to the end. */
enum broker_table {
	T_META,         /* name -> value: generation, exchange, last time, next position, next log index */
	T_ENTRY,        /* position u64be -> entry head and small bulk (append only) */
	T_BULK,         /* position u64be -> WrapList and body */
	T_STREAM,       /* stream id || seq u64be -> position */
	T_STREAM_HEAD,  /* stream id -> head seq, first seq */
	T_CURSOR,       /* device_id || stream id -> acknowledged seq */
	T_LOG,          /* log index u64be -> LogEntry bytes (append only) */
	T_OBJECT,       /* type u8 || id 16 || serial u64be -> oh || Signed bytes */
	T_ORG,          /* org_id -> row */
	T_DEVICE,       /* device_id -> row */
	T_KEY,          /* public key -> what it is; for ever */
	T_INVITE,       /* invite_id -> row, and the request's OrgDevices and DeviceKx */
	T_WRITER,       /* device_id || writer_epoch -> last and the ring of outcomes */
	T_POST,         /* channel u8 || post_seq u64be -> row of the newest version */
	T_ENVELOPE,     /* env_id -> row */
	T_WRAP,         /* env_id || device_id -> kx_serial; released and nacked flags, log index */
	T_PENDING,      /* nda_id or zero || env_id || org_id -> bytes: not yet released to that organisation */
	T_QUOTA,        /* kind u8 || id(s) -> counter u64 */
	T_NDA,          /* nda_id -> nda_row */
	T_NDA_ACT,      /* nda_id || log index u64be -> nda_act and Signed bytes */
	T_NDA_TERMS,    /* nda_id -> terms bytes */
	T_DUE,          /* time u64be || type u8 || id -> empty: everything that happens at a time */
	T_TREE,         /* merkle_position u64be -> hash of a complete subtree of the log (append only) */
	T_BLOB,         /* SHA-256 -> row of an attachment: opened, complete, attached to an envelope, or dropped with it */
	T_UPLOAD,       /* org_id || SHA-256 -> empty: those of an organisation that no envelope has yet */
	T_ATTACHED,     /* env_id || index u8 -> SHA-256 and length */
	T_DESK,         /* device_id -> the numbers of its desks, u32be each; without a row it has none */
	T_ORG_LINE,     /* org_id -> SHA-256 of each key before its own that still counts as its own */
	BROKER_TABLE_COUNT
};

extern const char *const broker_tables[BROKER_TABLE_COUNT];

#endif
