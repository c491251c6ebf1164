// Replies: frames are parsed, compared and counted. Events of epoll.
#pragma once
#include "connection.h"

static void inflate_check(struct connection *c) {
#ifdef WITH_ZLIB
  static z_stream z;
  static int ready;
  static u8 *out;
  if (!ready) inflateInit2(&z, -15), ready = 1, out = malloc((size_t)payload_bytes + 64);
  else inflateReset(&z);
  // RFC 7692 section 7.2.2: append 4 octets of 0x00 0x00 0xff 0xff
  memcpy(c->packed + c->packed_size, "\0\0\xff\xff", 4);
  z.next_in = c->packed;
  z.avail_in = (uInt)c->packed_size + 4;
  z.next_out = out;
  z.avail_out = (uInt)payload_bytes + 64;
  int result = inflate(&z, Z_SYNC_FLUSH);
  if ((result != Z_OK && result != Z_STREAM_END) || (long)z.total_out != payload_bytes ||
      memcmp(out, plain + (size_t)c->expect * (size_t)payload_bytes, (size_t)payload_bytes))
    die("connection %d: reply %llu does not inflate to what was sent", c->number, (unsigned long long)c->received);
#else
  (void)c;
#endif
}

static void message_done(struct connection *c) {
  if (c->rsv1) compressed_replies++;
  if (c->rsv1 && c->checking) inflate_check(c);
  if (!c->rsv1 && (long)c->message_bytes != payload_bytes)
    die("connection %d: reply %llu has %llu bytes, expected %ld", c->number, (unsigned long long)c->received, (unsigned long long)c->message_bytes, payload_bytes);
  if (c->checking) checked++;
  c->received++;
  c->message_bytes = 0;
  deliveries++;
  if (mode == BURST) {
    burst_seen++;
    return;
  }
  if (mode == BROADCAST) {
    int frame = senders > 1 ? c->owner_frame : c->expect;
    if (measuring) record(now - sent_at[frame]);
    if (c->sender && frame % senders == c->number % senders) c->queued++, completed++;
  } else {
    completed++;
    if (c->times && measuring) record(now - c->times[c->time_out % (u64)depth]);
    c->time_out++;
    if (mode == ECHO) c->queued++;
  }
  if (++c->expect == ring_frames) c->expect = 0;
  if (mode == HANDSHAKES) {
    if (measuring) record(now - c->started);
    u8 close_frame[8] = {0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2}; // 1000
    send_small(c, close_frame, 8);
    c->phase = CLOSING;
  }
}

static void compare(struct connection *c, const u8 *bytes, size_t n) {
  if (c->rsv1) {
    if (!c->checking) return;
    if (!c->packed) c->packed = malloc((size_t)payload_bytes * 2 + 128);
    if (c->packed_size + n > (size_t)payload_bytes * 2 + 100) die("a compressed reply twice as large as what was sent");
    memcpy(c->packed + c->packed_size, bytes, n);
    c->packed_size += n;
    return;
  }
  if (c->message_bytes + n > (u64)payload_bytes) die("connection %d: a reply larger than what was sent", c->number);
  if (mode == BURST) {
    for (size_t i = 0; i < n; i++)
      if (bytes[i] != 'x') die("a burst message that is not all x");
    return;
  }
  int frame = senders > 1 && mode == BROADCAST ? c->owner_frame : c->expect;
  if (memcmp(bytes, plain + (size_t)frame * (size_t)payload_bytes + c->message_bytes, n))
    die("connection %d: reply %llu is not what was sent", c->number, (unsigned long long)c->received);
}

static int decode_letter(u8 x) {
  return x >= 'A' && x <= 'Z' ? x - 'A' : x >= 'a' && x <= 'z' ? x - 'a' + 26 : x >= '0' && x <= '9' ? x - '0' + 52 : x == '-' ? 62 : 63;
}

// With several senders, the first two bytes of a message identify its frame in the ring. Each sender's messages arrive in order.
static void identify(struct connection *c, const u8 *bytes, size_t n) {
  if (n < 2) die("several senders: a message was split within its first two bytes");
  int frame = decode_letter(bytes[0]) * 64 + decode_letter(bytes[1]);
  if (frame >= ring_frames) die("a message that nobody sent");
  int owner = frame % senders;
  if (!c->expect_from) {
    c->expect_from = malloc((size_t)senders * sizeof(int));
    for (int i = 0; i < senders; i++) c->expect_from[i] = i;
  }
  if (c->expect_from[owner] != frame) die("connection %d: sender %d's messages out of order", c->number, owner);
  c->expect_from[owner] = (frame + senders) % ring_frames;
  c->owner_frame = frame;
}

static void control(struct connection *c, const u8 *payload, size_t n) {
  if (c->opcode == 9 && c->phase == OPEN) {
    c->pong_size = (u8)put_frame(c->pong, 0x8a, payload, n);
    c->pong_waits = 1;
  } else if (c->opcode == 8 && c->phase != CLOSING && !finished) {
    die("connection %d: the server closed with %d", c->number, n >= 2 ? payload[0] << 8 | payload[1] : 1005);
  }
}

static void parse(struct connection *c, const u8 *p, size_t n) {
  const u8 *end = p + n;
  while (p < end) {
    if (c->remaining == 0) { // in a header
      // The common case first: the header is complete.
      if (c->header_size == 0 && end - p >= 10) {
        int length = p[1] & 127;
        int size = length < 126 ? 2 : length == 126 ? 4 : 10;
        memcpy(c->header, p, (size_t)size);
        c->header_size = (u8)size;
        c->header_need = (u8)size;
        p += size;
      } else {
        while (p < end && c->header_size < c->header_need) {
          c->header[c->header_size++] = *p++;
          if (c->header_size == 2) {
            int length = c->header[1] & 127;
            c->header_need = length < 126 ? 2 : length == 126 ? 4 : 10;
          }
        }
        if (c->header_size < c->header_need) return;
      }
      int length = c->header[1] & 127;
      if (c->header[1] & 128) die("connection %d: a masked frame from the server", c->number);
      u64 size = 0;
      if (length < 126) size = (u64)length;
      else for (int i = 2; i < c->header_need; i++) size = size << 8 | c->header[i];
      c->header_size = 0;
      c->header_need = 2;
      int opcode = c->header[0] & 15;
      c->opcode = (u8)opcode;
      if (opcode & 8) {
        if (size > 125) die("a control frame of %llu bytes", (unsigned long long)size);
        c->remaining = size;
        if (size == 0) control(c, NULL, 0);
        continue;
      }
      if (opcode != 0) {
        c->rsv1 = (c->header[0] & 0x40) != 0;
        if (c->rsv1 && !use_deflate) die("connection %d: a reserved bit is set", c->number);
        c->packed_size = 0;
        c->message_bytes = 0;
        c->checking = c->received < 2 || (c->received + (u64)c->number) % SAMPLE == 0;
      }
      c->remaining = size;
      if (size == 0) {
        if (c->header[0] & 0x80) message_done(c);
        if (c->phase == DEAD) return;
      }
      continue;
    }
    size_t take = (u64)(end - p) < c->remaining ? (size_t)(end - p) : (size_t)c->remaining;
    if (c->opcode & 8) { // small: collected in the pong's buffer, which is sent between frames only
      static u8 gathered[125];
      static size_t size;
      if (take > sizeof gathered - size) size = 0;
      memcpy(gathered + size, p, take);
      size += take;
      p += take;
      c->remaining -= take;
      if (c->remaining == 0) control(c, gathered, size), size = 0;
      continue;
    }
    if (senders > 1 && mode == BROADCAST && c->message_bytes == 0 && c->opcode) identify(c, p, take);
    if (c->checking) compare(c, p, take);
    c->message_bytes += take;
    p += take;
    c->remaining -= take;
    if (c->remaining == 0 && (c->header[0] & 0x80)) {
      message_done(c);
      if (c->phase == DEAD) return;
    }
  }
}

static void on_event(struct connection *c, uint32_t events) {
  if (c->phase == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) die("connect to %s:%d: %s", host, port, strerror(error));
    if (!(events & EPOLLOUT)) return;
#ifdef WITH_TLS
    if (use_tls) {
      start_tls(c);
      c->phase = TLS_HANDSHAKE;
    } else
#endif
      send_upgrade(c);
  }
#ifdef WITH_TLS
  if (c->phase == TLS_HANDSHAKE) {
    int done = SSL_do_handshake(c->ssl);
    if (done != 1) {
      int e = SSL_get_error(c->ssl, done);
      if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) die("TLS handshake failed: %s", ERR_error_string(ERR_get_error(), NULL));
      arm(c, e == SSL_ERROR_WANT_WRITE);
      return;
    }
    send_upgrade(c);
  }
#endif
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t n = conn_read(c, read_buffer, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) goto writable;
    if (n <= 0) {
      if (c->phase != CLOSING && !finished) die("connection %d: the server ended it (%s)", c->number, n < 0 ? strerror(errno) : "end of stream");
      drop(c);
      return;
    }
    wire_in += (u64)n;
    total_in += (u64)n;
    const u8 *p = read_buffer;
    if (c->phase == UPGRADING) {
      size_t used = read_head(c, p, (size_t)n);
      p += used;
      n -= (ssize_t)used;
    }
    parse(c, p, (size_t)n);
    if (c->phase == DEAD) return;
  }
writable:
  if (c->phase == OPEN && (c->queued || c->pong_waits || c->want_out)) pump(c);
}

static void run_iteration(int timeout) {
  static struct epoll_event events[MAX_EVENTS];
  int n = epoll_wait(epoll_fd, events, MAX_EVENTS, timeout);
  now = now_ns();
  u64 before = deliveries + (u64)open_count;
  for (int i = 0; i < n; i++) {
    on_event(events[i].data.ptr, events[i].events);
    // One time for all events of an iteration would hide the time that they waited for each other.
    if ((i & 7) == 7) now = now_ns();
  }
  if (wire_in || deliveries + (u64)open_count != before) last_progress = now;
  wire_in = 0;
  if (now - last_progress > STALL_NS) die("stalled: nothing came for %llu s (%llu messages so far)", STALL_NS / 1000000000ull, (unsigned long long)deliveries);
}

static void open_all(int upto) {
  static int opened;
  last_progress = now = now_ns();
  while (open_count < upto) {
    // The server's backlog is finite: at most 256 connections in progress.
    while (opened < upto && opened - open_count < 256) connect_one(&all[opened++]);
    run_iteration(100);
  }
}
