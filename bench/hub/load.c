// Clients of channels: one thread, epoll, Linux. Built by the runner with `cc -O2` on first use.
//
//   hub-load mode=stream dialect=hub port=8000 path=/connection/websocket channels=1 per=10000 every=10 seconds=3 pid=123
//
// Subscribers that parse only as much of a message as identifies the publication, and one connection that publishes. Dialects:
//   hub       the Centrifugo client protocol, JSON: connect, subscribe, publish, recovery
//   socketio  Socket.IO's protocol, version 5, over WebSocket only: rooms, connection state recovery
//   plain     no channels: every message goes to all connections
// Modes:
//   stream    publications to all channels in turn: one every `every` ms, or, with every=0, `depth` of them in flight
//   return    all subscribers are disconnected, `missed` publications are made in each channel, then all reconnect at once and recover,
//             while one more is published every `every` ms
// Publication n of the run goes to channel n % channels, so each subscriber knows which one comes next: lost and duplicate publications
// are counted. One line of JSON on stdout; errors on stderr, exit 1.
#include "../load/client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define READ_BYTES (512 * 1024)
#define MAX_EVENTS 1024
#define STALL_NS 10000000000ull
#define GIVE_UP_NS 40000000000ull // time limit for all to reconnect
#define REMEMBERED (1 << 20) // publications whose send times are kept; a power of two
#define MARK '#'             // precedes the number of a publication; occurs in nothing else that a server sends
#define DIGITS 10
#define COMMANDS 32          // commands of the dialect "hub" in one frame

enum dialect { HUB, SOCKETIO, PLAIN };
// OPENED: upgraded, no command sent yet (Socket.IO sends first). JOINING: has sent subscribe.
enum phase { AWAY, CONNECTING, UPGRADING, OPENED, JOINING, LIVE };

// ---- options ----------------------------------------------------------------------------------------------------
static enum dialect dialect = HUB;
static const char *mode = "stream", *path = "/", *name = "ticker";
static int port, channels = 1, per = 100, each = 1, opening = 256, depth = 1, missed = 20, server_pid;
static int bytes = 64, most = 100;
static double every, seconds = 2, warmup = 0.5;

// ---- connections ---------------------------------------------------------------------------------------------------
struct connection {
  int fd, number, group;
  enum phase phase;
  u8 want_out, recovering, is_back;
  u8 *in; // incomplete frame
  size_t in_size, in_room;
  u8 *out; // output not accepted by the socket
  size_t out_at, out_size, out_room;
  int joined;      // channels
  uint32_t *next;  // for each of its channels: the next publication
  uint64_t offset; // hub: of the last publication, in its only channel
  char epoch[40], sid[40], pid[40], last[40];
  u64 started;
};

static struct connection *all, *publisher;
static int subscribers, groups, epoll_fd, timer_fd, live_count, back_count, under_way;
static u8 *reading;
static u64 now, last_progress, sent_at[REMEMBERED], window_from, window_until, deliveries, wire_in;
static uint16_t left[REMEMBERED]; // outstanding deliveries
static u64 published, completed, skipped, lost, doubled, unrecovered;
static uint32_t *must_have; // by channel: publications that a reconnected subscriber must have
static u64 request_id = 1;
static u64 answers;      // hub: replies to the publisher
static char awaited[48]; // socketio: ID of the awaited reply to the publisher
static int answered;

static void arm(struct connection *c, int out) {
  if (c->want_out == out) return;
  c->want_out = (u8)out;
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void grow(u8 **to, size_t *room, size_t need) {
  if (need <= *room) return;
  *room = need * 2;
  *to = realloc(*to, *room);
  if (!*to) die("out of memory");
}

static void pump(struct connection *c) {
  while (c->out_at < c->out_size) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN) die("connection %d: write: %s", c->number, strerror(errno));
      arm(c, 1);
      return;
    }
    c->out_at += (size_t)n;
  }
  c->out_at = c->out_size = 0;
  arm(c, 0);
}

static void put(struct connection *c, const void *from, size_t n) {
  grow(&c->out, &c->out_room, c->out_size + n);
  memcpy(c->out + c->out_size, from, n);
  c->out_size += n;
}

static void put_text(struct connection *c, const char *text, size_t n) {
  grow(&c->out, &c->out_room, c->out_size + n + 14);
  c->out_size += put_frame(c->out + c->out_size, 0x81, (const u8 *)text, n);
}

static int find(const u8 *in, size_t n, const char *what) { return memmem(in, n, what, strlen(what)) != NULL; }

// Returns the string after `what`, up to its closing quote.
static void copy_string(char *to, size_t room, const u8 *in, size_t n, const char *what) {
  const u8 *from = memmem(in, n, what, strlen(what));
  size_t at = 0;
  if (from)
    for (from += strlen(what); from < in + n && *from != '"' && at + 1 < room; from++) to[at++] = (char)*from;
  to[at] = 0;
}

static void connect_one(struct connection *c) {
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket: %s (connection %d)", strerror(errno), c->number);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->phase = CONNECTING;
  c->want_out = 1;
  c->in_size = c->out_size = c->out_at = 0;
  c->started = now;
  under_way++;
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

// Disconnects without a Close, as when the network fails.
static void cut(struct connection *c) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(c->fd);
  free(c->in);
  c->in = NULL;
  c->in_room = 0;
  c->phase = AWAY;
  c->joined = 0;
  c->recovering = 1;
  live_count--;
}

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

// ---- publishing ----------------------------------------------------------------------------------------------------
static char batch[COMMANDS * 512];
static int batch_size, batched;

static void flush_batch(void) {
  if (batched) put_text(publisher, batch, (size_t)batch_size);
  batch_size = batched = 0;
}

static void publish(u64 at) {
  u64 n = published++;
  sent_at[n & (REMEMBERED - 1)] = at;
  left[n & (REMEMBERED - 1)] = (uint16_t)per;
  int channel = (int)(n % (u64)channels), inner = bytes - 2;
  char data[256];
  int size = sprintf(data, "\"%c%0*llu", MARK, DIGITS, (unsigned long long)n);
  memset(data + size, 'x', (size_t)(inner + 1 - size));
  data[inner + 1] = '"';
  data[inner + 2] = 0;
  char *to = batch + batch_size;
  if (dialect == HUB) batch_size += sprintf(to, "%s{\"id\":%llu,\"publish\":{\"channel\":\"%s:%d\",\"data\":%s}}", batched ? "\n" : "", (unsigned long long)++request_id, name, channel, data);
  else if (dialect == SOCKETIO) batch_size += sprintf(to, "42[\"publish\",\"%s:%d\",%s]", name, channel, data);
  else batch_size += sprintf(to, "%s", data);
  if (++batched == (dialect == HUB ? COMMANDS : 1)) flush_batch();
}

static u64 next_due; // 0: nothing is due

static void keep_time(double ms) {
  struct itimerspec spec = {0};
  next_due = 0;
  if (ms > 0) {
    u64 ns = (u64)(ms * 1e6);
    spec.it_interval = spec.it_value = (struct timespec){(time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull)};
    next_due = now_ns() + ns;
  }
  every = ms;
  timerfd_settime(timer_fd, 0, &spec, NULL);
}

// Publishes what is due, however busy this thread is. Latency counts from the due time.
static void tick(void) {
  if (!next_due || now < next_due) return;
  for (; now >= next_due; next_due += (u64)(every * 1e6)) {
    if (published - completed >= (u64)most) skipped++; // the server is too far behind
    else publish(next_due);
  }
  flush_batch();
  pump(publisher);
}

// ---- the loop ------------------------------------------------------------------------------------------------------
static void on_event(struct connection *c, uint32_t events) {
  if (c->phase == AWAY) return; // disconnected in this iteration
  if (c->phase == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) die("connect to port %d: %s", port, strerror(error));
    if (!(events & EPOLLOUT)) return;
    upgrade(c);
    pump(c);
  } else if (events & EPOLLOUT) pump(c);
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
}

static void turn(int timeout) {
  static struct epoll_event events[MAX_EVENTS];
  int n = epoll_wait(epoll_fd, events, MAX_EVENTS, timeout);
  u64 before = wire_in;
  now = now_ns();
  tick();
  for (int i = 0; i < n; i++) {
    if (!events[i].data.ptr) {
      u64 times;
      if (read(timer_fd, &times, sizeof times) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
    } else on_event(events[i].data.ptr, events[i].events);
    if ((i & 7) == 7) {
      now = now_ns(); // one time for all events would hide the time that they waited for each other
      tick();
    }
  }
  if (wire_in != before) last_progress = now;
  if (now - last_progress > STALL_NS)
    die("stalled: nothing came for %llu s (%d subscribers, %llu of %llu publications complete)", STALL_NS / 1000000000ull, live_count, (unsigned long long)completed, (unsigned long long)published);
}

static void open_all(int at_once) {
  last_progress = now = now_ns();
  for (int next = 0; live_count < subscribers;) {
    while (next < subscribers && under_way < at_once) {
      connect_one(&all[next++]);
      if ((next & 63) == 0) now = now_ns();
    }
    turn(100);
  }
}

// Waits until the server has accepted all publications.
static void settle(void) {
  pump(publisher);
  if (dialect == HUB) {
    while (answers < published) turn(100);
    return;
  }
  char text[48];
  int n = sprintf(text, "42%llu[\"sync\"]", (unsigned long long)++request_id);
  put_text(publisher, text, (size_t)n);
  sprintf(awaited, "43%llu[", (unsigned long long)request_id);
  pump(publisher);
  for (answered = 0; !answered;) turn(100);
}

static void wait_ms(double ms) {
  for (u64 until = now_ns() + (u64)(ms * 1e6); now_ns() < until;) {
    last_progress = now_ns();
    turn(1);
  }
}

// ---- modes -----------------------------------------------------------------------------------------------------------
static void print_latency(void) {
  if (!histogram_count) return;
  printf("\"latencyUs\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", quantile_us(0.5), quantile_us(0.9), quantile_us(0.99), quantile_us(0.999), (double)histogram_max / 1000.0);
}

static void print_faults(void) {
  printf("\"publications\":%llu,\"skipped\":%llu,\"lost\":%llu,\"doubled\":%llu,\"unrecovered\":%llu}\n", (unsigned long long)published, (unsigned long long)skipped, (unsigned long long)lost, (unsigned long long)doubled,
         (unsigned long long)unrecovered);
}

// Counts publications that subscribers have not received as lost.
static void count_missing(void) {
  for (int i = 0; i < subscribers; i++)
    for (int k = 0; k < each; k++) {
      u64 channel = (u64)(all[i].group * each + k), made = published > channel ? (published - channel - 1) / (u64)channels + 1 : 0;
      lost += made - all[i].next[k];
    }
}

// Waits for publications in flight; gives up when nothing has arrived for a while.
static void drain(void) {
  keep_time(0);
  u64 seen = wire_in, since = now_ns();
  while (completed < published && now_ns() - since < 2000000000ull) {
    turn(20);
    if (wire_in != seen) seen = wire_in, since = now_ns();
  }
  count_missing();
}

static void keep_going(void) {
  if (every > 0) return;
  while (published - completed < (u64)depth) publish(now);
  flush_batch();
  pump(publisher);
}

// If other programs used the machine during the whole window, nothing was measured: the window is extended.
#define EXTENSION_LIMIT_NS ((u64)20e9) // ns

static void run_stream(void) {
  u64 from = now_ns() + (u64)(warmup * 1e9), until = from + (u64)(seconds * 1e9);
  last_progress = now = now_ns();
  keep_time(every);
  while (now < from) keep_going(), turn(20);
  window_from = now;
  window_until = until;
  skipped = 0;
  u64 deliveries_from = deliveries, published_from = published, wire_from = wire_in;
  double cpu_from = cpu_of(server_pid), load_from = own_cpu();
  while (now < until) keep_going(), turn(20);
  for (; histogram_count == 0 && now < until + EXTENSION_LIMIT_NS; window_until = now) {
    window_until = until + EXTENSION_LIMIT_NS;
    keep_going();
    turn(20);
  }
  double elapsed = (double)(now_ns() - window_from) / 1e9, cpu = cpu_of(server_pid) - cpu_from, load_cpu = own_cpu() - load_from;
  u64 delivered = deliveries - deliveries_from;
  printf("{\"seconds\":%.4f,\"deliveries\":%llu,\"perSecond\":%.1f,\"publicationsPerSecond\":%.1f,\"wireBytes\":%.1f,", elapsed, (unsigned long long)delivered, (double)delivered / elapsed, (double)(published - published_from) / elapsed,
         delivered ? (double)(wire_in - wire_from) / (double)delivered : 0);
  if (!isnan(cpu)) printf("\"serverCpuUs\":%.4f,\"serverBusy\":%.4f,", delivered ? cpu * 1e6 / (double)delivered : 0, cpu / elapsed);
  printf("\"loadBusy\":%.4f,", load_cpu / elapsed);
  drain();
  print_latency();
  print_faults();
}

static void run_return(void) {
  double pace = every;
  keep_time(0);
  u64 from = now_ns();
  double cpu = cpu_of(server_pid);
  last_progress = now = from;
  for (int i = 0; i < channels; i++) publish(now); // gives every subscriber a position
  flush_batch();
  settle();
  while (completed < published) turn(20);
  for (int i = 0; i < subscribers; i++) cut(&all[i]);
  wait_ms(300);
  from = now_ns();
  cpu = cpu_of(server_pid);
  u64 already = published;
  for (u64 i = 0; i < (u64)missed * (u64)channels; i++) {
    publish(now);
    if ((i & 255) == 255) { // as fast as the server accepts them
      pump(publisher);
      while (publisher->out_size > 256 * 1024) turn(20);
    }
  }
  flush_batch();
  settle();
  double in_seconds = (double)(now_ns() - from) / 1e9, in_cpu = cpu_of(server_pid) - cpu;
  u64 in_count = published - already;
  for (int i = 0; i < channels; i++) must_have[i] = (uint32_t)(published / (u64)channels);
  window_from = window_until = 0;
  from = now_ns();
  cpu = cpu_of(server_pid);
  double load_from = own_cpu();
  most = 1 << 19;
  keep_time(pace);
  open_all(opening);
  while (back_count < subscribers && now - from < GIVE_UP_NS) turn(20);
  double out_seconds = (double)(now_ns() - from) / 1e9, out_cpu = cpu_of(server_pid) - cpu, load_cpu = own_cpu() - load_from;
  drain();
  printf("{\"inSeconds\":%.4f,\"inCount\":%llu,\"inCpuUs\":%.4f,\"outSeconds\":%.4f,\"outCount\":%llu,\"outCpuUs\":%.4f,\"sessions\":%d,\"back\":%d,\"serverBusy\":%.4f,\"loadBusy\":%.4f,", in_seconds, (unsigned long long)in_count, in_count ? in_cpu * 1e6 / (double)in_count : 0,
         out_seconds, (unsigned long long)(in_count / (u64)channels * (u64)subscribers), out_cpu * 1e6 / subscribers, subscribers, back_count, out_cpu / out_seconds, load_cpu / out_seconds);
  print_latency();
  print_faults();
}

static void option(const char *argument) {
  const char *value = strchr(argument, '=');
  if (!value) die("expected name=value, got %s", argument);
  size_t n = (size_t)(value++ - argument);
#define IS(name) (n == strlen(name) && !strncmp(argument, name, n))
  if (IS("dialect")) {
    static const char *const names[] = {"hub", "socketio", "plain"};
    int i = 0;
    while (i < 3 && strcmp(value, names[i])) i++;
    if (i == 3) die("dialect: expected hub, socketio or plain, got %s", value);
    dialect = (enum dialect)i;
  } else if (IS("mode")) {
    if (strcmp(value, "stream") && strcmp(value, "return")) die("mode: expected stream or return, got %s", value);
    mode = value;
  } else if (IS("path")) path = value;
  else if (IS("name")) name = value;
  else if (IS("port")) port = atoi(value);
  else if (IS("pid")) server_pid = atoi(value);
  else if (IS("channels")) channels = atoi(value);
  else if (IS("per")) per = atoi(value);
  else if (IS("each")) each = atoi(value);
  else if (IS("opening")) opening = atoi(value);
  else if (IS("depth")) depth = atoi(value);
  else if (IS("missed")) missed = atoi(value);
  else if (IS("bytes")) bytes = atoi(value);
  else if (IS("most")) most = atoi(value);
  else if (IS("every")) every = atof(value);
  else if (IS("seconds")) seconds = atof(value);
  else if (IS("warmup")) warmup = atof(value);
  else die("unknown option %s", argument);
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++) option(arguments[i]);
  if (port < 1 || port > 65535) die("port: expected 1 to 65535");
  if (channels < 1 || per < 1 || per > 65535 || each < 1 || each > 100 || channels % each || opening < 1) die("channels, per (at most 65,535) and each (at most 100) are at least 1, and channels a multiple of each");
  if (bytes < DIGITS + 3 || bytes > 200) die("bytes: expected %d to 200, got %d", DIGITS + 3, bytes);
  if (!strcmp(mode, "return") && (each != 1 || dialect == PLAIN)) die("return: one channel for each subscriber, and a dialect that recovers");
  if (!strcmp(mode, "return") && !server_pid) die("return: pid, the server's, is needed");
  groups = channels / each;
  subscribers = groups * per;
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  if (files.rlim_cur < (rlim_t)subscribers + 64 || setrlimit(RLIMIT_NOFILE, &files)) die("%d connections need more open files than are allowed", subscribers);
  reading = malloc(READ_BYTES);
  all = calloc((size_t)subscribers + 1, sizeof *all);
  must_have = calloc((size_t)channels, sizeof *must_have);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (!reading || !all || !must_have || epoll_fd < 0 || timer_fd < 0) die("out of memory");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
  for (int i = 0; i <= subscribers; i++) {
    all[i].number = i;
    all[i].group = i % groups;
    all[i].next = calloc((size_t)each, sizeof *all[i].next);
    if (!all[i].next) die("out of memory");
  }
  publisher = &all[subscribers];
  double pace = every;
  every = 0;
  now = last_progress = now_ns();
  connect_one(publisher);
  while (publisher->phase != LIVE) turn(100);
  open_all(256);
  every = pace;
  if (!strcmp(mode, "stream")) run_stream();
  else run_return();
  return 0;
}
