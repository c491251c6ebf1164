// Connections of the load generator: input and output of bytes, TLS, the handshake.
#pragma once
#include "ring.h"

struct connection {
  int fd, number;
  enum phase phase;
  u8 want_out, sender, pong_size, pong_waits, checking, rsv1, opcode, header_size, header_need;
  u8 header[10], pong[125 + 6];
  int expect;           // frame of the ring expected next (echo; broadcast with one sender)
  int send_next;        // frame of the ring to send next
  int queued;           // frames permitted to be sent
  size_t frame_done;    // bytes of send_next already written
  u64 remaining;        // of the frame being read
  u64 message_bytes;    // of the message being read, so far
  u64 received;         // messages
  u64 *times;           // echo: send times of messages in flight, a ring of `depth`
  u64 time_in, time_out;
  int *expect_from;     // broadcast with several senders: next frame of each sender
  int owner_frame;      // several senders: the frame being read
  u8 *packed;           // a compressed reply being collected
  size_t packed_size;
  u64 started;
  char *head;           // the response head so far
  int head_size;
#ifdef WITH_TLS
  SSL *ssl;
#endif
};

static struct connection *all;
static int epoll_fd, open_count;
static u8 *read_buffer;
static u64 now, deliveries, completed, checked, compressed_replies, wire_in, last_progress;
static u64 total_in; // total bytes from the server
static int measuring, finished;
static long burst_seen;

static void arm(struct connection *c, int out) {
  if (c->want_out == out) return;
  c->want_out = (u8)out;
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static ssize_t conn_read(struct connection *c, void *to, size_t n) {
#ifdef WITH_TLS
  if (c->ssl) {
    size_t total = 0;
    while (total < n) { // a record is at most 16 KiB: read all available ones
      int got = SSL_read(c->ssl, (u8 *)to + total, (int)(n - total));
      if (got <= 0) {
        int e = SSL_get_error(c->ssl, got);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE && !total) return 0;
        break;
      }
      total += (size_t)got;
    }
    if (total) return (ssize_t)total;
    errno = EAGAIN;
    return -1;
  }
#endif
  return recv(c->fd, to, n, 0);
}

static ssize_t conn_writev(struct connection *c, struct iovec *iov, int count) {
#ifdef WITH_TLS
  if (c->ssl) {
    size_t total = 0;
    for (int i = 0; i < count; i++) {
      int put = SSL_write(c->ssl, iov[i].iov_base, (int)iov[i].iov_len);
      if (put <= 0) {
        int e = SSL_get_error(c->ssl, put);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) die("TLS write failed");
        break;
      }
      total += (size_t)put;
      if ((size_t)put < iov[i].iov_len) break;
    }
    if (total) return (ssize_t)total;
    errno = EAGAIN;
    return -1;
  }
#endif
  if (count == 1) return send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
  struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
  return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

static void send_small(struct connection *c, const void *bytes, size_t n) {
  struct iovec iov = {(void *)bytes, n};
  ssize_t put = conn_writev(c, &iov, 1);
  if (put != (ssize_t)n && !(put < 0 && (errno == EPIPE || errno == ECONNRESET))) die("a short write of a small message");
}

// Writes the queued frames, adjacent ones in one call.
static void pump(struct connection *c) {
  if (c->pong_waits && c->frame_done == 0) {
    c->pong_waits = 0;
    send_small(c, c->pong, c->pong_size);
  }
  while (c->queued > 0) {
    struct iovec iov[MAX_IOV];
    int parts = 0, frame = c->send_next;
    size_t total = 0, limit = 1024 * 1024;
    for (int left = c->queued; left > 0 && total < limit; left--) {
      u8 *from = wire + wire_at[frame];
      size_t size = wire_at[frame + 1] - wire_at[frame];
      if (total == 0) from += c->frame_done, size -= c->frame_done;
      if (parts && (u8 *)iov[parts - 1].iov_base + iov[parts - 1].iov_len == from) iov[parts - 1].iov_len += size;
      else if (parts == MAX_IOV) break;
      else iov[parts].iov_base = from, iov[parts++].iov_len = size;
      total += size;
      frame += mode == BROADCAST ? senders : 1;
      if (frame >= ring_frames) frame -= ring_frames;
    }
    ssize_t put = conn_writev(c, iov, parts);
    if (put < 0) {
      if (errno != EAGAIN) die("connection %d: write: %s", c->number, strerror(errno));
      arm(c, 1);
      return;
    }
    size_t done = (size_t)put;
    while (done > 0) {
      size_t left = wire_at[c->send_next + 1] - wire_at[c->send_next] - c->frame_done;
      if (c->frame_done == 0) { // a message's latency starts with its first byte
        if (c->times) c->times[c->time_in++ % (u64)depth] = now;
        else sent_at[c->send_next] = now;
      }
      if (done < left) {
        c->frame_done += done;
        break;
      }
      done -= left;
      c->frame_done = 0;
      c->send_next += mode == BROADCAST ? senders : 1;
      if (c->send_next >= ring_frames) c->send_next -= ring_frames;
      c->queued--;
    }
    if ((size_t)put < total) {
      arm(c, 1);
      return;
    }
  }
  arm(c, 0);
}

static void connect_one(struct connection *c) {
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket: %s (connection %d)", strerror(errno), c->number);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("host: expected an IPv4 address, got %s", host);
  if (connections > PORTS_PER_ADDRESS && !strncmp(host, "127.", 4)) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(c->number / PORTS_PER_ADDRESS))};
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&local, sizeof local)) die("bind: %s", strerror(errno));
  }
  c->phase = CONNECTING;
  c->want_out = 1;
  c->header_size = 0;
  c->header_need = 2;
  c->head_size = 0;
  c->started = now;
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

#ifdef WITH_TLS
static SSL_CTX *tls_context;
static void start_tls(struct connection *c) {
  if (!tls_context) {
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  c->ssl = SSL_new(tls_context);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_connect_state(c->ssl);
}
#endif

static void send_upgrade(struct connection *c) {
  char head[1024];
  int n = snprintf(head, sizeof head,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                   path, host, port,
                   use_deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n" : "");
  c->phase = UPGRADING;
  send_small(c, head, (size_t)n);
  arm(c, 0);
}

static void start(struct connection *c);

// Reads the response head. Returns the number of bytes that belong to it: all of them if it is incomplete.
static size_t read_head(struct connection *c, const u8 *bytes, size_t n) {
  if (!c->head) c->head = malloc(4096);
  size_t take = n < (size_t)(4095 - c->head_size) ? n : (size_t)(4095 - c->head_size);
  memcpy(c->head + c->head_size, bytes, take);
  c->head[(size_t)c->head_size + take] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (!end) {
    if (take < n) die("the response head is larger than 4 KiB");
    c->head_size += (int)take;
    return n;
  }
  size_t used = (size_t)(end - c->head) + 4 - (size_t)c->head_size;
  if (strncmp(c->head, "HTTP/1.1 101", 12) || !strstr(c->head, ACCEPT)) die("no upgrade on %s: %.*s", path, (int)strcspn(c->head, "\r\n"), c->head);
  if (use_deflate && (!strcasestr(c->head, "permessage-deflate") || !strcasestr(c->head, "server_no_context_takeover")))
    die("the server did not take permessage-deflate; server_no_context_takeover");
  c->phase = OPEN;
  open_count++;
  free(c->head);
  c->head = NULL;
  start(c);
  return used;
}

static void start(struct connection *c) {
  if (mode == HANDSHAKES || mode == IDLE) {
    c->queued = 1;
    c->send_next = c->expect = c->number % ring_frames;
    pump(c);
  }
}

static void drop(struct connection *c) {
#ifdef WITH_TLS
  if (c->ssl) SSL_free(c->ssl), c->ssl = NULL;
#endif
  close(c->fd);
  c->phase = DEAD;
  if (mode == HANDSHAKES && !finished) connect_one(c);
}
