/* mend: one pass over the characters. */
#include "client/mend.h"

#include "proto/errcode.h"

/* Windows-1252 of 0x80 to 0x9f; 0 where it has none. */
static const uint16_t windows[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

/* One character of valid UTF-8; its length in *len. */
static uint32_t decode(const uint8_t *p, size_t *len)
{
	if (p[0] < 0x80) {
		*len = 1;
		return p[0];
	}
	*len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t point = p[0] & (*len == 2 ? 0x1fu : *len == 3 ? 0x0fu : 0x07u);
	for (size_t i = 1; i < *len; i++)
		point = point << 6 | (p[i] & 0x3fu);
	return point;
}

static uint8_t *encode(uint8_t *to, uint32_t point)
{
	if (point < 0x80) {
		*to++ = (uint8_t)point;
	} else if (point < 0x800) {
		*to++ = (uint8_t)(0xc0 | point >> 6);
		*to++ = (uint8_t)(0x80 | (point & 0x3f));
	} else {
		*to++ = (uint8_t)(0xe0 | point >> 12);
		*to++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
		*to++ = (uint8_t)(0x80 | (point & 0x3f));
	}
	return to;
}

static bool is_control(uint32_t point, bool one_line)
{
	if (point == '\t' || point == '\n' || point == '\r')
		return one_line;
	return point < 0x20 || (point >= 0x7f && point <= 0x9f);
}

static bool is_bidi(uint32_t point)
{
	return point == 0x200e || point == 0x200f || point == 0x061c || (point >= 0x202a && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

/*
 * Three characters that are the bytes of one UTF-8 character read as Latin-1 (quotation marks and dashes: E2 80 xx), of which the
 * second is a control character that nobody writes.  The character, or 0.
 */
static uint32_t twice_encoded(struct bytes rest, size_t *used)
{
	uint32_t points[3];
	size_t at = 0, len;
	for (size_t i = 0; i < 3; i++) {
		if (at >= rest.len)
			return 0;
		points[i] = decode(rest.data + at, &len);
		at += len;
	}
	if (points[0] < 0xe0 || points[0] > 0xef || points[1] < 0x80 || points[1] > 0x9f || points[2] < 0x80 || points[2] > 0xbf)
		return 0;
	uint32_t point = (points[0] & 0x0f) << 12 | (points[1] & 0x3f) << 6 | (points[2] & 0x3f);
	if (point < 0x800 || (point >= 0xd800 && point <= 0xdfff) || (point >= 0xfdd0 && point <= 0xfdef) || point >= 0xfffe)
		return 0;
	*used = at;
	return point;
}

static bool needs_mending(struct bytes in, bool one_line)
{
	size_t len;
	for (size_t i = 0; i < in.len; i += len) {
		uint32_t point = decode(in.data + i, &len);
		if (is_control(point, one_line) || (one_line && is_bidi(point)))
			return true;
	}
	return false;
}

int mend_text(struct bytes in, bool one_line, struct arena *a, struct bytes *out, bool *mended)
{
	*out = in;
	if (!needs_mending(in, one_line))
		return RK_OK;
	/* A control character has two bytes at most (one below 0x20), what stands for it three. */
	arena_raise(a, 3 * in.len + 16);
	uint8_t *start = arena_alloc(a, 3 * in.len + 1), *to = start;
	size_t len;
	if (!start)
		return RK_ENOMEM;
	for (size_t i = 0; i < in.len; i += len) {
		uint32_t point = decode(in.data + i, &len), whole = twice_encoded(bytes_make(in.data + i, in.len - i), &len);
		if (whole && !(one_line && is_bidi(whole))) {
			to = encode(to, whole);
		} else if (point >= 0x80 && point <= 0x9f) {
			to = encode(to, windows[point - 0x80] ? windows[point - 0x80] : 0xfffd);
		} else if (is_control(point, one_line) || (one_line && is_bidi(point))) {
			*to++ = ' ';
		} else {
			memcpy(to, in.data + i, len);
			to += len;
		}
	}
	*out = bytes_make(start, (size_t)(to - start));
	*mended = true;
	return RK_OK;
}
