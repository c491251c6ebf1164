// A WebSocket load generator: one thread, epoll, Linux. Built by the runner with `cc -O2` on first use.
//
//   load mode=echo port=8000 path=/echo connections=100 bytes=64 depth=1 type=binary seconds=3 warmup=1 pid=123
//
// modes: echo, broadcast, burst, handshakes, idle. One line of JSON on stdout when done; errors on stderr, exit 1.
// Checks the length of every reply, and every byte of one reply in SAMPLE as it arrives.
// `pid` is the server's process: its CPU time (utime + stime) is read at the start and the end of the measured window. For a server of
// several processes, pass `pid=1,2,3` with the primary first; their CPU times are summed.
#include "client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef WITH_ZLIB
#include <zlib.h>
#endif
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define READ_BYTES (512 * 1024)
#define MAX_EVENTS 1024
#define MAX_IOV 64
#define SAMPLE 16          // one reply in this many is compared completely
#define STALL_NS 15000000000ull
#define PORTS_PER_ADDRESS 20000 // the usual ephemeral range holds 28,232

enum mode { ECHO, BROADCAST, BURST, HANDSHAKES, IDLE };
enum phase { CONNECTING, TLS_HANDSHAKE, UPGRADING, OPEN, CLOSING, DEAD };

// ---- options ----------------------------------------------------------------------------------------------------
static enum mode mode = ECHO;
static const char *mode_name = "echo", *host = "127.0.0.1", *path = "/echo", *type = "binary";
static int port, connections = 100, depth = 1, senders = 1, floods, flood_depth = 4096, use_deflate, use_tls;
static long payload_bytes = 64, burst_count = 100000, burst_times = 5;
static u64 message_limit;
static double seconds = 2, warmup = 0.5;

#define MAX_PROCESSES 1024
static int server_pids[MAX_PROCESSES], server_processes;

static double server_cpu(void) {
  double sum = server_processes ? 0 : NAN;
  for (int i = 0; i < server_processes; i++) sum += cpu_of(server_pids[i]);
  return sum;
}

// Returns the CPU time of the whole machine in seconds, including time stolen by its host.
static double machine_cpu(void) {
  FILE *file = fopen("/proc/stat", "r");
  if (!file) return NAN;
  double user, nice, system, idle, waiting, irq, softirq, stolen;
  int found = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &waiting, &irq, &softirq, &stolen);
  fclose(file);
  return found == 8 ? (user + nice + system + irq + softirq + stolen) / (double)sysconf(_SC_CLK_TCK) : NAN;
}

// Warm-up is measured in CPU time of the server, each worker on a core, so that it does not depend on other load.
static int is_warm(double cpu_begin) {
  int workers = server_processes > 1 ? server_processes - 1 : 1;
  return !server_processes || server_cpu() - cpu_begin >= warmup * 0.8 * workers;
}

// ---- output: a ring of different frames ----------------------------------------------------------------------
static int ring_frames;         // number of frames; a multiple of `senders`
static u8 *plain;               // ring_frames payloads of payload_bytes
static u8 *wire;                // the same as masked frames, compressed if requested
static size_t *wire_at;         // where frame i starts; [ring_frames] is the end
static u64 *sent_at;            // broadcast: time at which frame i was last sent

static void fill_payload(u8 *out, long n, int index) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static const char *const utf8[] = {"a", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "z"};
  if (!strcmp(type, "json")) { // a chat message: keys and words that repeat, ids and numbers that do not
    long at = 0;
    char piece[160];
    at += snprintf((char *)out, (size_t)n, "{\"type\":\"message\",\"id\":\"%08x\",\"items\":[", random32());
    if (at > n) at = n;
    for (int i = 0; at < n; i++) {
      int size = snprintf(piece, sizeof piece, "{\"user\":\"user-%u\",\"score\":%u,\"active\":%s,\"text\":\"the quick brown fox\"},", random32() % 10000,
                          random32() % 100000, random32() & 1 ? "true" : "false");
      if (size > n - at) size = (int)(n - at);
      memcpy(out + at, piece, (size_t)size);
      at += size;
    }
    if (n > 2) memcpy(out + n - 2, "]}", 2);
  } else if (!strcmp(type, "utf8")) {
    long at = 0;
    while (at < n) {
      const char *piece = utf8[random32() % 6];
      long size = (long)strlen(piece);
      if (at + size > n) out[at++] = 'x';
      else memcpy(out + at, piece, (size_t)size), at += size;
    }
  } else if (!strcmp(type, "text")) for (long i = 0; i < n; i++) out[i] = (u8)letters[random32() & 63];
  else for (long i = 0; i < n; i++) out[i] = (u8)random32();
  if (senders > 1) { // the sender, readable in any type of message
    out[0] = (u8)letters[(index >> 6) & 63];
    out[1] = (u8)letters[index & 63];
  }
}

static size_t compress_raw(u8 *out, size_t room, const u8 *in, size_t n) {
#ifdef WITH_ZLIB
  z_stream z = {0};
  deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (u8 *)in;
  z.avail_in = (uInt)n;
  z.next_out = out;
  z.avail_out = (uInt)room;
  deflate(&z, Z_SYNC_FLUSH);
  size_t size = room - z.avail_out;
  deflateEnd(&z);
  return size - 4; // RFC 7692 section 7.2.1: remove 4 octets (0x00 0x00 0xff 0xff) from the tail end
#else
  (void)out, (void)room, (void)in, (void)n;
  die("built without zlib: no compressed rows");
  return 0;
#endif
}

static void make_ring(void) {
  long n = 256 * 1024 / (payload_bytes + 14);
  ring_frames = n > 1024 ? 1024 : n < 4 ? 4 : (int)n;
  ring_frames -= ring_frames % senders;
  if (ring_frames < senders) ring_frames = senders;
  size_t room = (size_t)payload_bytes + (use_deflate ? (size_t)payload_bytes / 8 + 128 : 0) + 14;
  plain = malloc((size_t)ring_frames * (size_t)payload_bytes + 1);
  wire = malloc((size_t)ring_frames * room);
  wire_at = calloc((size_t)ring_frames + 1, sizeof *wire_at);
  sent_at = calloc((size_t)ring_frames, sizeof *sent_at);
  u8 *packed = malloc(room);
  if (!plain || !wire || !wire_at || !packed) die("out of memory");
  int opcode = !strcmp(type, "binary") ? 2 : 1;
  for (int i = 0; i < ring_frames; i++) {
    u8 *payload = plain + (size_t)i * (size_t)payload_bytes;
    fill_payload(payload, payload_bytes, i);
    size_t size = (size_t)payload_bytes;
    int first = 0x80 | opcode;
    if (use_deflate) {
      size = compress_raw(packed, room, payload, size);
      payload = packed;
      first |= 0x40;
    }
    wire_at[i + 1] = wire_at[i] + put_frame(wire + wire_at[i], first, payload, size);
  }
  free(packed);
}

// ---- connections ---------------------------------------------------------------------------------------------------
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

static void turn(int timeout) {
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
    turn(100);
  }
}

// ---- modes -----------------------------------------------------------------------------------------------------------
static void report(double elapsed, u64 messages, u64 bytes, double cpu, double load_cpu, double all_cpu) {
  printf("{\"mode\":\"%s\",\"connections\":%d,\"bytes\":%ld,\"depth\":%d,\"type\":\"%s\",\"seconds\":%.6f,\"messages\":%llu,\"perSecond\":%.1f,", mode_name,
         connections, payload_bytes, depth, type, elapsed, (unsigned long long)messages, (double)messages / elapsed);
  if (!isnan(cpu)) printf("\"serverCpuUs\":%.5f,\"serverBusy\":%.4f,", messages ? cpu * 1e6 / (double)messages : 0, cpu / elapsed);
  if (histogram_count)
    printf("\"latencyUs\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", quantile_us(0.5), quantile_us(0.9), quantile_us(0.99),
           quantile_us(0.999), (double)histogram_max / 1000.0);
  if (!isnan(cpu + all_cpu)) printf("\"othersBusy\":%.4f,", fmax(0, all_cpu - cpu - load_cpu) / elapsed);
  printf("\"wireBytes\":%.1f,", messages ? (double)bytes / (double)messages : 0);
  printf("\"loadBusy\":%.4f,\"checked\":%llu,\"compressedReplies\":%llu}\n", load_cpu / elapsed, (unsigned long long)checked, (unsigned long long)compressed_replies);
  fflush(stdout);
}

// If other programs used the machine during the whole window, nothing was measured: the window is extended.
#define EXTENSION_LIMIT_NS ((u64)20e9) // ns

static void run_window(u64 *counter) {
  u64 begin = now_ns(), from = begin + (u64)(warmup * 1e9), until = from + (u64)(seconds * 1e9);
  u64 messages_from = 0, bytes_from = 0;
  u64 latest = begin + (u64)(warmup * 4e9);
  double cpu_begin = server_cpu(), cpu_from = 0, load_from = 0, all_from = 0;
  last_progress = now = begin;
  for (;;) {
    turn(20);
    if (!measuring && now >= from && (now >= latest || is_warm(cpu_begin))) {
      measuring = 1;
      from = now_ns();
      until = from + (u64)(seconds * 1e9);
      messages_from = *counter;
      bytes_from = total_in;
      cpu_from = server_cpu();
      load_from = own_cpu();
      all_from = machine_cpu();
    } else if (measuring && ((now >= until && (checked > 0 || now >= until + EXTENSION_LIMIT_NS)) || (message_limit && *counter - messages_from >= message_limit))) {
      double cpu = server_cpu() - cpu_from, load_cpu = own_cpu() - load_from, all_cpu = machine_cpu() - all_from;
      report((double)(now_ns() - from) / 1e9, *counter - messages_from, total_in - bytes_from, cpu, load_cpu, all_cpu);
      finished = 1;
      return;
    }
  }
}

static void run_burst(void) {
  u8 frame[64];
  char command[40];
  int n = snprintf(command, sizeof command, "burst %ld %ld", burst_count, payload_bytes);
  printf("{\"mode\":\"burst\",\"count\":%ld,\"bytes\":%ld,\"ms\":[", burst_count, payload_bytes);
  double cpu = 0, cpu_begin = server_cpu();
  long i = 0;
  while (i < burst_times) {
    int warm = is_warm(cpu_begin);
    size_t size = put_frame(frame, 0x81, (u8 *)command, (size_t)n);
    burst_seen = 0;
    double cpu_from = server_cpu();
    u64 from = last_progress = now_ns();
    send_small(&all[0], frame, size);
    while (burst_seen < burst_count) turn(100);
    double ms = (double)(now_ns() - from) / 1e6;
    cpu = server_cpu() - cpu_from;
    if (burst_seen != burst_count) die("more messages than asked for");
    if (!warm) continue;
    printf("%s%.3f", i++ ? "," : "", ms);
  }
  if (!isnan(cpu)) printf("],\"serverCpuUs\":%.5f", cpu * 1e6 / (double)burst_count);
  else printf("]");
  printf(",\"checked\":%llu}\n", (unsigned long long)checked);
  finished = 1;
}

// Commands on stdin: "N" opens up to N connections and exchanges a message on each. The program ends with stdin.
static void run_idle(void) {
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    int upto = atoi(line);
    if (upto > connections) die("idle: at most connections=%d", connections);
    double cpu_from = server_cpu();
    open_all(upto);
    while (completed < (u64)upto) turn(100);
    for (int i = 0; i < 20; i++) turn(10);
    printf("{\"mode\":\"idle\",\"open\":%d,\"serverCpu\":%.6f}\n", upto, isnan(cpu_from) ? 0 : server_cpu() - cpu_from);
    fflush(stdout);
  }
  finished = 1;
}

static void option(const char *argument) {
  const char *value = strchr(argument, '=');
  if (!value) die("expected name=value, got %s", argument);
  size_t n = (size_t)(value++ - argument);
#define IS(name) (n == strlen(name) && !strncmp(argument, name, n))
  if (IS("mode")) {
    static const char *const names[] = {"echo", "broadcast", "burst", "handshakes", "idle"};
    for (int i = 0; i <= 5; i++) {
      if (i == 5) die("mode: expected echo, broadcast, burst, handshakes or idle, got %s", value);
      if (!strcmp(value, names[i])) {
        mode = (enum mode)i, mode_name = names[i];
        break;
      }
    }
  } else if (IS("host")) host = value;
  else if (IS("path")) path = value;
  else if (IS("type")) {
    if (strcmp(value, "binary") && strcmp(value, "text") && strcmp(value, "utf8") && strcmp(value, "json")) die("type: expected binary, text, utf8 or json, got %s", value);
    type = value;
  } else if (IS("port")) port = atoi(value);
  else if (IS("connections")) connections = atoi(value);
  else if (IS("depth")) depth = atoi(value);
  else if (IS("senders")) senders = atoi(value);
  else if (IS("floods")) floods = atoi(value);
  else if (IS("flooddepth")) flood_depth = atoi(value);
  else if (IS("bytes")) payload_bytes = atol(value);
  else if (IS("count")) burst_count = atol(value);
  else if (IS("times")) burst_times = atol(value);
  else if (IS("messages")) message_limit = strtoull(value, NULL, 10);
  else if (IS("seconds")) seconds = atof(value);
  else if (IS("warmup")) warmup = atof(value);
  else if (IS("deflate")) use_deflate = atoi(value);
  else if (IS("tls")) use_tls = atoi(value);
  else if (IS("pid")) {
    for (const char *at = value; at; at = strchr(at, ',')) {
      if (*at == ',') at++;
      if (server_processes == MAX_PROCESSES) die("pid: at most %d processes", MAX_PROCESSES);
      if ((server_pids[server_processes++] = atoi(at)) <= 0) die("pid: expected processes such as 12 or 12,13, got %s", value);
    }
  } else die("unknown option %s", argument);
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++) option(arguments[i]);
  if (port < 1 || port > 65535) die("port: expected 1 to 65535");
  if (connections < 1 || depth < 1 || senders < 1 || senders > connections || payload_bytes < 0) die("connections, depth and senders are at least 1, bytes at least 0");
  if (floods < 0 || floods >= connections || flood_depth < 1) die("floods is less than connections, flooddepth at least 1");
  if (senders > 1 && payload_bytes < 2) die("several senders need at least 2 bytes");
#ifndef WITH_TLS
  if (use_tls) die("built without OpenSSL: no TLS rows");
#endif
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  rlim_t need = (rlim_t)connections + 64;
  if (files.rlim_cur < need) {
    if (files.rlim_max < need) files.rlim_max = need;
    files.rlim_cur = need;
    if (setrlimit(RLIMIT_NOFILE, &files)) die("%d connections need more open files than are allowed", connections);
  }
  if (mode == BURST) connections = 1, senders = 1;
  if (mode != BROADCAST) senders = 1;
  make_ring();
  read_buffer = malloc(READ_BYTES);
  all = calloc((size_t)connections, sizeof *all);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (!read_buffer || !all || epoll_fd < 0) die("out of memory");
  for (int i = 0; i < connections; i++) {
    struct connection *c = &all[i];
    c->number = i;
    if (mode == ECHO) c->send_next = c->expect = i % ring_frames;
    // the latency of the last connections, which flood, is not measured
    if (mode == ECHO && i < connections - floods) c->times = calloc((size_t)depth, sizeof *c->times);
    if (mode == BROADCAST && i < senders) c->sender = 1, c->send_next = i;
  }
  if (mode == IDLE) {
    run_idle();
    return 0;
  }
  if (mode == HANDSHAKES) {
    now = now_ns();
    for (int i = 0; i < connections; i++) connect_one(&all[i]);
    run_window(&completed);
    return 0;
  }
  open_all(connections);
  if (mode == BURST) {
    run_burst();
    return 0;
  }
  now = now_ns();
  for (int i = 0; i < connections; i++)
    if (mode == ECHO || all[i].sender) all[i].queued = i < connections - floods ? depth : flood_depth, pump(&all[i]);
  run_window(mode == ECHO ? &completed : &deliveries);
  return 0;
}
