// Publishing, and the loop over events of epoll.
#pragma once
#include "dialects.h"

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

static void run_iteration(int timeout) {
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
    run_iteration(100);
  }
}

// Waits until the server has accepted all publications.
static void settle(void) {
  pump(publisher);
  if (dialect == HUB) {
    while (answers < published) run_iteration(100);
    return;
  }
  char text[48];
  int n = sprintf(text, "42%llu[\"sync\"]", (unsigned long long)++request_id);
  put_text(publisher, text, (size_t)n);
  sprintf(awaited, "43%llu[", (unsigned long long)request_id);
  pump(publisher);
  for (answered = 0; !answered;) run_iteration(100);
}

static void wait_ms(double ms) {
  for (u64 until = now_ns() + (u64)(ms * 1e6); now_ns() < until;) {
    last_progress = now_ns();
    run_iteration(1);
  }
}
