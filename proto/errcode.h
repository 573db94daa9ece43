/*
 * errcode: the one list of outcomes.  0 is success.  A positive code is a *refusal*, class x 100 + n, as it
 * stands on the wire (PROTOCOL.md, "Refusals"): what a broker answers and what a client would answer itself.
 * A negative code is a local *failure*: this machine's memory, disk, network or files.  Functions return
 * `int` with one of these unless their comment says otherwise.  Every code has one name and one sentence in
 * English and Japanese, in one table (errcode.c).
 */
#ifndef RENKEI_PROTO_ERRCODE_H
#define RENKEI_PROTO_ERRCODE_H

enum errcode {
	RK_OK = 0,

	/* 1xx identity */
	RK_NOT_ADMITTED = 101,      /* no current key of a member */
	RK_REVOKED = 102,           /* device removed, or organisation suspended or expelled */
	RK_SUPERSEDED = 103,        /* a newer connection of this device took over */
	RK_STALE_WRITER = 104,      /* an older copy of this home is writing */
	RK_NOT_PERMITTED = 105,     /* role or rule forbids it */
	RK_WRONG_EXCHANGE = 106,
	/* 2xx form */
	RK_MALFORMED = 201,
	RK_BAD_SIGNATURE = 202,     /* also: seal, AEAD, commitment; one code, no oracle */
	RK_TOO_LARGE = 203,
	RK_VERSION = 204,
	RK_UNSUPPORTED = 205,
	RK_UNMARKED = 206,
	/* 3xx limits */
	RK_RATE_LIMITED = 301,
	RK_QUOTA = 302,
	RK_BUSY = 303,
	RK_STORE_FULL = 304,
	RK_MOVING = 305,            /* the broker is draining: reconnect later */
	RK_READ_ONLY = 306,         /* the broker's store is older than its own log: it takes and releases nothing */
	/* 4xx state */
	RK_NUMBER_CONFLICT = 401,
	RK_OUT_OF_ORDER = 402,
	RK_DUPLICATE = 403,
	RK_CONFLICT = 404,
	RK_GENERATION = 405,
	RK_STALE_EPOCH = 406,
	RK_EPOCH_UNKNOWN = 407,
	RK_STALE_DIRECTORY = 408,
	RK_STALE_NDA = 409,
	RK_DIRECTORY_EXPIRED = 410,
	RK_CHARTER_EXPIRED = 411,
	RK_ENVELOPE_EXPIRED = 412,
	RK_CLOCK = 413,
	RK_NOT_OWNER = 414,
	RK_NO_RECIPIENT_KEY = 415,
	RK_INVITE_USED = 416,
	RK_INVITE_EXPIRED = 417,
	/* 5xx gate */
	RK_NO_NDA = 501,            /* unknown, or the asker is no party: answered alike */
	RK_NDA_PROPOSED = 502,
	RK_NDA_NOT_YET = 503,
	RK_NDA_HELD = 504,
	RK_NDA_SUSPENDED = 505,
	RK_NDA_DECLINED = 506,
	RK_NDA_WITHDRAWN = 507,
	RK_NDA_LAPSED = 508,
	RK_NDA_EXPIRED = 509,
	RK_NDA_TERMINATED = 510,
	RK_NDA_SUPERSEDED = 511,
	RK_DIRECTION = 512,
	/* 6xx things */
	RK_UNKNOWN_OBJECT = 601,
	RK_UNKNOWN_RECIPIENT = 602,

	/* local failures; never on the wire */
	RK_ENOMEM = -1,
	RK_EINTERNAL = -2,          /* our own mistake, noticed */
	RK_EIO = -3,                /* file or disk error; errno says which */
	RK_EDISKFULL = -4,
	RK_ESTORE = -5,             /* the store refused or is damaged */
	RK_ESTOREFORMAT = -6,       /* the folder is of a newer format */
	RK_ENOTFOUND = -7,
	RK_EEXISTS = -8,
	RK_ELOCKED = -9,            /* another process holds the folder */
	RK_EPASSPHRASE = -10,       /* key file: wrong passphrase or damaged */
	RK_EKEYFILE = -11,          /* not a key file, or its parameters are out of range */
	RK_EUNREACHABLE = -12,      /* the broker does not answer */
	RK_ETIMEOUT = -13,
	RK_EINTERRUPTED = -14,
	RK_EUSAGE = -15,
	RK_ENOTJOINED = -16,
	RK_ENEWER = -17,            /* needs a newer Renkei */
	RK_EINTEGRITY = -18,        /* stored or received data does not prove itself */
	RK_EOTHERHOME = -19,        /* a copy of this home is in use */
	RK_EFORKED = -20,           /* the broker has shown two histories of its log */
};

/* Languages of user-facing sentences. */
enum lang { LANG_EN = 0, LANG_JA = 1, LANG_COUNT };

/** The stable name of a code, as in `error.code` of --json: "no-nda", "stale-epoch"; "unknown" for an unknown code. */
const char *errcode_name(int code);

/** One sentence for people; never NULL.  A client that does not know a refusal gets its class's sentence. */
const char *errcode_sentence(int code, enum lang lang);

/** What to do next, one sentence; "" where there is nothing to say. */
const char *errcode_hint(int code, enum lang lang);

/** The exit code of the command line for a code (DESIGN, "Command line"): 0..9 or 130. */
int errcode_exit(int code);

/** Iterates the table: the i-th code, or RK_OK when i is past the end.  For tests and the protocol page. */
int errcode_at(unsigned i);

#endif
