#include "tests/bench/foreign/tls_kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define EVENTS 256
#define WAKE UINT32_MAX
#define READ_BYTES 65536

struct buffer {
	uint8_t *data;
	size_t len, room;
};

struct connection {
	SSL *ssl;
	int fd;
	struct buffer in, out;
	bool is_dirty;            /* in `dirty`: has something to send */
	bool wants_write;         /* epoll tells when the socket takes more */
};

struct tls {
	SSL_CTX *context;
	struct connection *list;
	unsigned count, max, *dirty, dirty_count;
	int epoll;
	tls_fn *on_data;
	void *user;
};

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "load: %s\n", what);
		ERR_print_errors_fp(stderr);
		exit(1);
	}
}

static void append(struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = 2 * (b->len + len);
		need((b->data = realloc(b->data, b->room)) != NULL, "memory");
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void drop(struct buffer *b, size_t n)
{
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

struct tls *tls_new(unsigned max, int fd, const char *ca, tls_fn *on_data, void *user)
{
	struct tls *t = calloc(1, sizeof(*t));
	struct epoll_event wake = {.events = EPOLLIN, .data.u32 = WAKE};

	need(t != NULL && (t->list = calloc(max, sizeof(*t->list))) != NULL && (t->dirty = calloc(max, sizeof(*t->dirty))) != NULL, "memory");
	t->max = max;
	t->on_data = on_data;
	t->user = user;
	need((t->context = SSL_CTX_new(TLS_client_method())) != NULL &&
	     SSL_CTX_set_min_proto_version(t->context, TLS1_3_VERSION) == 1 &&
	     SSL_CTX_load_verify_file(t->context, ca) == 1, ca);
	SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(t->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	need((t->epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0 && epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &wake) == 0, "epoll");
	return t;
}

void tls_free(struct tls *t)
{
	for (unsigned i = 0; i < t->count; i++) {
		SSL_free(t->list[i].ssl);
		close(t->list[i].fd);
		free(t->list[i].in.data);
		free(t->list[i].out.data);
	}
	SSL_CTX_free(t->context);
	close(t->epoll);
	free(t->list);
	free(t->dirty);
	free(t);
}

static void skip_line(int fd)
{
	char c = 0;

	while (c != '\n')
		need(read(fd, &c, 1) == 1, "greeting");
}

unsigned tls_connect(struct tls *t, unsigned port, int has_greeting)
{
	unsigned i = t->count;
	struct connection *c = &t->list[i];
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
	const int one = 1;

	need(i < t->max, "too many connections");
	t->count++;
	need((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 && connect(c->fd, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
	need(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "TCP_NODELAY");
	if (has_greeting)
		skip_line(c->fd);
	need((c->ssl = SSL_new(t->context)) != NULL && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_connect(c->ssl) == 1, "TLS handshake");
	need(SSL_version(c->ssl) == TLS1_3_VERSION, "TLS 1.3");
	need(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll");
	return i;
}

void tls_send(struct tls *t, unsigned connection, const void *data, size_t len)
{
	struct connection *c = &t->list[connection];

	append(&c->out, data, len);
	if (!c->is_dirty) {
		c->is_dirty = true;
		t->dirty[t->dirty_count++] = connection;
	}
}

static void want_write(struct tls *t, unsigned i, bool wanted)
{
	struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.u32 = i};

	if (t->list[i].wants_write != wanted)
		need(epoll_ctl(t->epoll, EPOLL_CTL_MOD, t->list[i].fd, &event) == 0, "epoll");
	t->list[i].wants_write = wanted;
}

/* Until all of it left or the socket is full. */
static void flush(struct tls *t, unsigned i)
{
	struct connection *c = &t->list[i];
	size_t sent = 0, n;

	while (sent < c->out.len && SSL_write_ex(c->ssl, c->out.data + sent, c->out.len - sent, &n) == 1)
		sent += n;
	if (sent < c->out.len)
		need(SSL_get_error(c->ssl, 0) == SSL_ERROR_WANT_WRITE, "the broker hung up on a send");
	drop(&c->out, sent);
	want_write(t, i, c->out.len > 0);
}

static void receive(struct tls *t, unsigned i)
{
	struct connection *c = &t->list[i];
	uint8_t data[READ_BYTES];
	size_t n, taken;

	while (SSL_read_ex(c->ssl, data, sizeof(data), &n) == 1) {
		append(&c->in, data, n);
		taken = t->on_data(t->user, i, c->in.data, c->in.len);
		drop(&c->in, taken);
	}
	need(SSL_get_error(c->ssl, 0) == SSL_ERROR_WANT_READ, "the broker hung up");
}

void tls_wait(struct tls *t, int ms)
{
	struct epoll_event events[EVENTS];
	unsigned n = t->dirty_count;
	int count;

	t->dirty_count = 0;
	for (unsigned k = 0; k < n; k++) {
		t->list[t->dirty[k]].is_dirty = false;
		flush(t, t->dirty[k]);
	}
	count = epoll_wait(t->epoll, events, EVENTS, ms);
	for (int k = 0; k < count; k++) {
		if (events[k].data.u32 == WAKE)
			continue;
		if (events[k].events & EPOLLOUT)
			flush(t, events[k].data.u32);
		if (events[k].events & ~(uint32_t)EPOLLOUT)
			receive(t, events[k].data.u32);
	}
}
