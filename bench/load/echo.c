// The ceiling: a WebSocket server that does as little as possible, in one thread with epoll. It validates nothing and must not be
// used as a server; its column shows the limit set by the operating system and the machine.
// Routes: /echo, /broadcast and /burst, as in every server of this benchmark. Prints "listening PORT".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef unsigned char u8;
typedef uint64_t u64;

#define READ_BYTES (512 * 1024)
#define KEEP_BYTES (1024 * 1024 * 1024) // output limit of a connection

enum route { NONE, ECHO, BROADCAST, BURST };

struct connection {
  int fd, index; // index in `everyone`
  enum route route;
  u8 want_out, mark;
  u8 *in;        // incomplete frame
  size_t in_size, in_room;
  u8 *out;       // output not accepted by the socket
  size_t out_at, out_size, out_room;
  u64 burst_left;
};

static int epoll_fd;
static u8 *reading;
static struct connection **everyone;
static int everyone_count, everyone_room;
static u8 *fan; // broadcast frames of this iteration
static size_t fan_size, fan_room;
static u8 *burst_frame;
static size_t burst_frame_size;

// ---- SHA-1 (RFC 3174) of a short string, base64 ----------------------------------------------------------------------
static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void accept_value(const char *key, char *out) {
  u8 text[192] = {0}, digest[21] = {0};
  size_t n = (size_t)snprintf((char *)text, 128, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  size_t blocks = (n + 8) / 64 + 1;
  text[n] = 0x80;
  for (int i = 0; i < 4; i++) text[blocks * 64 - 1 - (size_t)i] = (u8)(n * 8 >> (8 * i));
  for (size_t b = 0; b < blocks; b++) {
    uint32_t w[80], a[5];
    for (int i = 0; i < 16; i++) {
      const u8 *p = text + b * 64 + i * 4;
      w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(a, h, sizeof a);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (a[1] & a[2]) | (~a[1] & a[3]) : i < 40 ? a[1] ^ a[2] ^ a[3] : i < 60 ? (a[1] & a[2]) | (a[1] & a[3]) | (a[2] & a[3]) : a[1] ^ a[2] ^ a[3];
      uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
      uint32_t t = rotate(a[0], 5) + f + a[4] + k + w[i];
      a[4] = a[3], a[3] = a[2], a[2] = rotate(a[1], 30), a[1] = a[0], a[0] = t;
    }
    for (int i = 0; i < 5; i++) h[i] += a[i];
  }
  for (int i = 0; i < 20; i++) digest[i] = (u8)(h[i / 4] >> (24 - 8 * (i % 4)));
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < 21; i += 3) {
    uint32_t v = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
    for (int j = 0; j < 4; j++) *out++ = letters[v >> (18 - 6 * j) & 63];
  }
  out[-1] = '=';
  *out = 0;
}

// ---- bytes out -------------------------------------------------------------------------------------------------------
static void arm(struct connection *c, int out) {
  if (c->want_out == out) return;
  c->want_out = (u8)out;
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

// Emptied blocks are pooled: their pages are already mapped.
#define SPARES 16
static struct { u8 *bytes; size_t room; } spares[SPARES];
static int spare_count;

static void release(u8 **bytes, size_t *room) {
  if (*bytes && spare_count < SPARES && *room >= 65536) {
    spares[spare_count].bytes = *bytes;
    spares[spare_count++].room = *room;
  } else free(*bytes);
  *bytes = NULL;
  *room = 0;
}

static void keep(u8 **to, size_t *size, size_t *room, const u8 *from, size_t n) {
  if (!*to && n >= 4096 && spare_count > 0 && spares[spare_count - 1].room >= n) {
    *to = spares[--spare_count].bytes;
    *room = spares[spare_count].room;
  }
  if (*size + n > *room) {
    *room = (*size + n) * 2;
    *to = realloc(*to, *room);
    if (!*to) exit(1);
  }
  memcpy(*to + *size, from, n);
  *size += n;
}

static void put(struct connection *c, const u8 *bytes, size_t n) {
  if (c->out_size == 0) {
    ssize_t done = send(c->fd, bytes, n, MSG_NOSIGNAL);
    if (done < 0) done = 0;
    bytes += done;
    n -= (size_t)done;
  }
  if (n == 0) return;
  if (c->out_size - c->out_at + n > KEEP_BYTES) {
    fprintf(stderr, "a connection that does not read has 1 GiB waiting\n");
    exit(1);
  }
  keep(&c->out, &c->out_size, &c->out_room, bytes, n);
  arm(c, 1);
}

static size_t put_header(u8 *out, int first, u64 n) {
  out[0] = (u8)first;
  if (n < 126) return out[1] = (u8)n, 2;
  if (n < 65536) return out[1] = 126, out[2] = (u8)(n >> 8), out[3] = (u8)n, 4;
  out[1] = 127;
  for (int i = 0; i < 8; i++) out[2 + i] = (u8)(n >> (56 - 8 * i));
  return 10;
}

static void burst_more(struct connection *c) {
  static u8 *block;
  static size_t block_frames;
  if (!block) {
    block_frames = 65536 / burst_frame_size + 1;
    block = malloc(block_frames * burst_frame_size);
    for (size_t i = 0; i < block_frames; i++) memcpy(block + i * burst_frame_size, burst_frame, burst_frame_size);
  }
  while (c->burst_left > 0 && c->out_size == 0) {
    size_t n = c->burst_left < block_frames ? c->burst_left : block_frames;
    c->burst_left -= n;
    put(c, block, n * burst_frame_size);
  }
}

// ---- bytes in --------------------------------------------------------------------------------------------------------
static void finish(struct connection *c) {
  if (c->route == BROADCAST) {
    everyone[c->index] = everyone[--everyone_count];
    everyone[c->index]->index = c->index;
  }
  close(c->fd);
  free(c->in);
  free(c->out);
  free(c);
}

static size_t upgrade(struct connection *c, u8 *p, size_t n) {
  u8 *end = memmem(p, n, "\r\n\r\n", 4), *key = memmem(p, n, "Sec-WebSocket-Key: ", 19);
  if (!end || !key) return 0;
  char text[25], value[32], head[256];
  memcpy(text, key + 19, 24);
  text[24] = 0;
  accept_value(text, value);
  c->route = !memcmp(p + 4, "/burst", 6) ? BURST : !memcmp(p + 4, "/broadcast", 10) ? BROADCAST : ECHO;
  int size = snprintf(head, sizeof head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", value);
  put(c, (u8 *)head, (size_t)size);
  if (c->route == BROADCAST) {
    if (everyone_count == everyone_room) everyone = realloc(everyone, (size_t)(everyone_room = everyone_room * 2 + 64) * sizeof *everyone);
    c->index = everyone_count;
    everyone[everyone_count++] = c;
  }
  return (size_t)(end + 4 - p);
}

// Unmasks complete frames in place and writes the replies over them: a reply is never longer than its request.
// Returns the number of bytes used, or -1 if the connection has ended.
static ssize_t frames(struct connection *c, u8 *p, size_t n) {
  size_t at = 0, out = 0;
  if (c->route == NONE) {
    at = out = upgrade(c, p, n);
    if (at == 0) return 0;
  }
  size_t out_from = out;
  while (n - at >= 6) {
    u8 *f = p + at;
    u64 size = f[1] & 127;
    size_t header = size < 126 ? 6 : size == 126 ? 8 : 14;
    if (n - at < header) break;
    if (size == 126) size = (u64)f[2] << 8 | f[3];
    else if (size == 127) {
      size = 0;
      for (int i = 2; i < 10; i++) size = size << 8 | f[i];
    }
    if (n - at < header + size) break;
    int first = f[0];
    if ((first & 15) == 8) {
      u8 bye[4] = {0x88, 2, 0x03, 0xe8};
      put(c, p + out_from, out - out_from);
      put(c, bye, 4);
      finish(c);
      return -1;
    }
    u64 key = 0;
    memcpy(&key, f + header - 4, 4);
    key |= key << 32;
    u8 *payload = f + header;
    u64 i = 0;
    for (; i + 8 <= size; i += 8) {
      u64 word;
      memcpy(&word, payload + i, 8);
      word ^= key;
      memcpy(payload + i, &word, 8);
    }
    for (; i < size; i++) payload[i] ^= (u8)(key >> (8 * (i & 7)));
    at += header + size;
    if (c->route == BURST) {
      unsigned long long count, bytes;
      char text[64];
      memcpy(text, payload, size < 63 ? size : 63);
      text[size < 63 ? size : 63] = 0;
      if (sscanf(text, "burst %llu %llu", &count, &bytes) == 2 && bytes < 1000000) {
        if (!burst_frame) {
          burst_frame = malloc(bytes + 10);
          burst_frame_size = put_header(burst_frame, 0x82, bytes);
          memset(burst_frame + burst_frame_size, 'x', bytes);
          burst_frame_size += bytes;
        }
        c->burst_left = count;
        burst_more(c);
      }
      continue;
    }
    u8 head[10];
    size_t head_size = put_header(head, first, size);
    if (c->route == BROADCAST) {
      keep(&fan, &fan_size, &fan_room, head, head_size);
      keep(&fan, &fan_size, &fan_room, payload, size);
      continue;
    }
    memcpy(p + out, head, head_size);
    memmove(p + out + head_size, payload, size);
    out += head_size + size;
  }
  if (out > out_from) put(c, p + out_from, out - out_from);
  return (ssize_t)at;
}

static void readable(struct connection *c) {
  // A frame continued from the last read is completed in the connection's buffer; others are used in the read buffer.
  u8 *to = reading;
  size_t room = READ_BYTES;
  if (c->in_size) {
    if (c->in_room - c->in_size < READ_BYTES) {
      c->in_room = c->in_size * 2 + READ_BYTES;
      c->in = realloc(c->in, c->in_room);
      if (!c->in) exit(1);
    }
    to = c->in + c->in_size;
    room = c->in_room - c->in_size;
  }
  ssize_t n = recv(c->fd, to, room, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    finish(c);
    return;
  }
  size_t have = c->in_size + (size_t)n;
  u8 *from = c->in_size ? c->in : reading;
  ssize_t used = frames(c, from, have);
  if (used < 0) return;
  size_t left = have - (size_t)used;
  if (from == reading) {
    if (left) {
      c->in_size = 0;
      keep(&c->in, &c->in_size, &c->in_room, from + used, left);
    }
  } else {
    if (used) memmove(c->in, c->in + used, left);
    c->in_size = left;
    if (left == 0) release(&c->in, &c->in_room);
  }
}

static void writable(struct connection *c) {
  ssize_t n = send(c->fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
  if (n > 0) c->out_at += (size_t)n;
  if (c->out_at < c->out_size) return;
  release(&c->out, &c->out_room);
  c->out_at = c->out_size = 0;
  if (c->burst_left) burst_more(c);
  if (c->out_size == 0) arm(c, 0);
}

int main(void) {
  const char *port = getenv("PORT");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port ? atoi(port) : 0)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096) || getsockname(listener, (struct sockaddr *)&address, &size)) {
    perror("listen");
    return 1;
  }
  reading = malloc(READ_BYTES);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[1024];
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  printf("listening %d C epoll\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(epoll_fd, events, 1024, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (!c) {
        int fd;
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          c = calloc(1, sizeof *c);
          c->fd = fd;
          event.events = EPOLLIN;
          event.data.ptr = c;
          epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        }
        continue;
      }
      // Handle one event: `readable` may free the connection. epoll is level-triggered and reports the other one again.
      if (events[i].events & EPOLLOUT) writable(c);
      else readable(c);
    }
    if (fan_size) { // broadcast the messages of this iteration with one write to each connection
      for (int i = 0; i < everyone_count; i++) put(everyone[i], fan, fan_size);
      fan_size = 0;
    }
  }
}
