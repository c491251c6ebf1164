// Options and connections of the hub's load generator.
#pragma once
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
