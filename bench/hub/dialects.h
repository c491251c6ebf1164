// The dialects: how a connection becomes a subscriber, and what it receives.
#pragma once
#include "connection.h"

// ---- dialects: becoming a subscriber -------------------------------------------------------------------------------
static void live(struct connection *c) {
  c->phase = LIVE;
  under_way--;
  if (c != publisher) live_count++;
}

static void join(struct connection *c) {
  static char text[16384];
  int n = 0, count = c == publisher ? 0 : each;
  if (dialect == HUB) {
    n = sprintf(text, "{\"id\":1,\"connect\":{}}");
    for (int k = 0; k < count; k++) {
      n += sprintf(text + n, "\n{\"id\":%d,\"subscribe\":{\"channel\":\"%s:%d\"", k + 2, name, c->group * each + k);
      if (c->recovering) n += sprintf(text + n, ",\"recover\":true,\"offset\":%llu,\"epoch\":\"%s\"", (unsigned long long)c->offset, c->epoch);
      n += sprintf(text + n, "}}");
    }
  } else {
    n = sprintf(text, "420[\"join\",[");
    for (int k = 0; k < count; k++) n += sprintf(text + n, "%s\"%s:%d\"", k ? "," : "", name, c->group * each + k);
    n += sprintf(text + n, "]]");
  }
  put_text(c, text, (size_t)n);
  c->phase = JOINING;
}

static void begin(struct connection *c) {
  c->phase = OPENED;
  if (dialect == PLAIN) live(c);
  else if (dialect == HUB) join(c);
}

static void upgrade(struct connection *c) {
  char head[512];
  int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
  c->phase = UPGRADING;
  put(c, head, (size_t)n);
}

static size_t upgraded(struct connection *c, const u8 *in, size_t n) {
  const u8 *end = memmem(in, n, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t used = (size_t)(end - in) + 4;
  if (!find(in, used, "HTTP/1.1 101") || !find(in, used, ACCEPT)) die("no upgrade on %s: %.*s", path, (int)(n < 60 ? n : 60), (const char *)in);
  begin(c);
  return used;
}

// ---- dialects: input ------------------------------------------------------------------------------------------
static void check_back(struct connection *c) {
  if (!c->recovering || c->is_back || c->phase != LIVE || c->next[0] < must_have[c->group]) return;
  c->is_back = 1;
  back_count++;
  record(now - c->started);
}

static void arrived(struct connection *c, const u8 *p, const u8 *end) {
  if (end - p < bytes - 1) die("a publication of %d bytes, expected %d", (int)(end - p), bytes);
  u64 n = 0;
  for (int i = 1; i <= DIGITS; i++) n = n * 10 + (u64)(p[i] - '0');
  uint32_t channel = (uint32_t)(n % (u64)channels), number = (uint32_t)(n / (u64)channels);
  int k = (int)channel - c->group * each;
  if (n >= published || k < 0 || k >= each) die("connection %d: publication %llu, which was not for it", c->number, (unsigned long long)n);
  uint32_t *next = &c->next[k];
  if (number < *next) {
    doubled++;
    return;
  }
  lost += number - *next;
  *next = number + 1;
  deliveries++;
  u64 slot = n & (REMEMBERED - 1);
  if (--left[slot] == 0) completed++;
  u64 at = sent_at[slot];
  if (at >= window_from && at < window_until) record(now - at);
  const u8 *rest = p + bytes - 1; // after the closing quote
  if (dialect == HUB && end - rest > 10 && !memcmp(rest, ",\"offset\":", 10)) {
    u64 offset = 0;
    for (rest += 10; rest < end && *rest >= '0' && *rest <= '9'; rest++) offset = offset * 10 + (u64)(*rest - '0');
    if (offset != (u64)number + 1) die("connection %d: publication %u of its channel has offset %llu", c->number, number, (unsigned long long)offset);
    c->offset = offset;
  } else if (dialect == SOCKETIO && end - rest > 3 && rest[0] == ',') {
    copy_string(c->last, sizeof c->last, rest, (size_t)(end - rest), ",\"");
  }
}

static void hub_frame(struct connection *c, const u8 *p, size_t n) {
  if (n == 2) { // the server's ping
    put_text(c, "{}", 2);
    return;
  }
  if (c->phase != JOINING) return;
  if (find(p, n, "\"error\":")) die("connection %d: %.*s", c->number, (int)(n < 200 ? n : 200), (const char *)p);
  if (c == publisher) {
    if (find(p, n, "\"connect\":")) live(c);
    return;
  }
  for (const u8 *at = p; (at = memmem(at, (size_t)(p + n - at), "\"subscribe\":{", 13)); at += 13) c->joined++;
  if (c->joined < each) return;
  if (c->recovering && !find(p, n, "\"recovered\":true")) unrecovered++;
  if (!c->recovering) copy_string(c->epoch, sizeof c->epoch, p, n, "\"epoch\":\"");
  live(c);
}

static void socketio_frame(struct connection *c, const u8 *p, size_t n) {
  static char text[160];
  if (n == 1 && p[0] == '2') put_text(c, "3", 1);
  else if (n > 1 && p[0] == '0' && c->phase == OPENED) {
    int size = 2;
    if (c->recovering) size = sprintf(text, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", c->pid, c->last);
    put_text(c, c->recovering ? text : "40", (size_t)size);
  } else if (n > 2 && p[0] == '4' && p[1] == '0') {
    char sid[sizeof c->sid];
    copy_string(sid, sizeof sid, p, n, "\"sid\":\"");
    if (c->recovering && !strcmp(sid, c->sid)) {
      live(c);
      return;
    }
    if (c->recovering) unrecovered++;
    memcpy(c->sid, sid, sizeof sid);
    copy_string(c->pid, sizeof c->pid, p, n, "\"pid\":\"");
    if (c == publisher) live(c);
    else join(c);
  } else if (n > 2 && p[0] == '4' && p[1] == '3' && c->phase == JOINING) live(c);
  else if (n > 1 && p[0] == '4' && p[1] == '4') die("connection %d: %.*s", c->number, (int)(n < 200 ? n : 200), (const char *)p);
}

static void text_frame(struct connection *c, const u8 *p, size_t n) {
  const u8 *end = p + n;
  if (c == publisher) {
    if (c->phase == LIVE && find(p, n, "\"error\":")) die("publisher: %.*s", (int)(n < 200 ? n : 200), (const char *)p);
    if (dialect == HUB)
      for (const u8 *at = p; (at = memmem(at, (size_t)(end - at), "\"publish\":{", 11)); at += 11) answers++;
    else if (awaited[0] && find(p, n, awaited)) answered = 1;
  } else if (dialect != HUB || n > 60) {
    for (const u8 *at = p; (at = memchr(at, MARK, (size_t)(end - at))); at++) arrived(c, at, end);
  }
  if (dialect == HUB) hub_frame(c, p, n);
  else if (dialect == SOCKETIO) socketio_frame(c, p, n);
  check_back(c);
}

static size_t frames(struct connection *c, const u8 *p, size_t n) {
  size_t at = 0;
  if (c->phase == UPGRADING) {
    at = upgraded(c, p, n);
    if (at == 0) return 0;
  }
  while (n - at >= 2) {
    const u8 *f = p + at;
    u64 size = f[1] & 127;
    size_t header = size < 126 ? 2 : size == 126 ? 4 : 10;
    if (n - at < header) break;
    if (size == 126) size = (u64)f[2] << 8 | f[3];
    else if (size == 127) {
      size = 0;
      for (int i = 2; i < 10; i++) size = size << 8 | f[i];
    }
    if (n - at < header + size) break;
    const u8 *payload = f + header;
    if (f[0] == 0x81 || f[0] == 0x82) text_frame(c, payload, size);
    else if (f[0] == 0x89) {
      grow(&c->out, &c->out_room, c->out_size + 140);
      c->out_size += put_frame(c->out + c->out_size, 0x8a, payload, size);
    } else if (f[0] == 0x88) die("connection %d: the server closed with %d %.*s", c->number, size >= 2 ? payload[0] << 8 | payload[1] : 1005, (int)(size > 2 ? size - 2 : 0), payload + 2);
    else if (f[0] != 0x8a) die("connection %d: a frame that begins with %02x", c->number, f[0]);
    at += header + size;
  }
  return at;
}

static void readable(struct connection *c) {
  ssize_t n;
  if (c->in_size == 0) {
    n = recv(c->fd, reading, READ_BYTES, 0);
    if (n > 0) {
      wire_in += (u64)n;
      size_t used = frames(c, reading, (size_t)n);
      c->in_size = (size_t)n - used;
      if (c->in_size) {
        grow(&c->in, &c->in_room, c->in_size);
        memcpy(c->in, reading + used, c->in_size);
      }
    }
  } else { // complete the frame of the last read
    grow(&c->in, &c->in_room, c->in_size + READ_BYTES);
    n = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size, 0);
    if (n > 0) {
      wire_in += (u64)n;
      c->in_size += (size_t)n;
      size_t used = frames(c, c->in, c->in_size);
      c->in_size -= used;
      memmove(c->in, c->in + used, c->in_size);
      if (c->in_size == 0) {
        free(c->in);
        c->in = NULL;
        c->in_room = 0;
      }
    }
  }
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) die("connection %d: the server ended it (%s)", c->number, n < 0 ? strerror(errno) : "end of stream");
  if (c->out_size) pump(c);
}
