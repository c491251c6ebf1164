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
#include "publishing.h"

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
    run_iteration(20);
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
  while (now < from) keep_going(), run_iteration(20);
  window_from = now;
  window_until = until;
  skipped = 0;
  u64 deliveries_from = deliveries, published_from = published, wire_from = wire_in;
  double cpu_from = cpu_of(server_pid), load_from = own_cpu();
  while (now < until) keep_going(), run_iteration(20);
  for (; histogram_count == 0 && now < until + EXTENSION_LIMIT_NS; window_until = now) {
    window_until = until + EXTENSION_LIMIT_NS;
    keep_going();
    run_iteration(20);
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
  while (completed < published) run_iteration(20);
  for (int i = 0; i < subscribers; i++) cut(&all[i]);
  wait_ms(300);
  from = now_ns();
  cpu = cpu_of(server_pid);
  u64 already = published;
  for (u64 i = 0; i < (u64)missed * (u64)channels; i++) {
    publish(now);
    if ((i & 255) == 255) { // as fast as the server accepts them
      pump(publisher);
      while (publisher->out_size > 256 * 1024) run_iteration(20);
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
  while (back_count < subscribers && now - from < GIVE_UP_NS) run_iteration(20);
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
  while (publisher->phase != LIVE) run_iteration(100);
  open_all(256);
  every = pace;
  if (!strcmp(mode, "stream")) run_stream();
  else run_return();
  return 0;
}
