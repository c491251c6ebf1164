// A WebSocket load generator: one thread, epoll, Linux. Built by the runner with `cc -O2` on first use.
//
//   load mode=echo port=8000 path=/echo connections=100 bytes=64 depth=1 type=binary seconds=3 warmup=1 pid=123
//
// modes: echo, broadcast, burst, handshakes, idle. One line of JSON on stdout when done; errors on stderr, exit 1.
// Checks the length of every reply, and every byte of one reply in SAMPLE as it arrives.
// `pid` is the server's process: its CPU time (utime + stime) is read at the start and the end of the measured window. For a server of
// several processes, pass `pid=1,2,3` with the primary first; their CPU times are summed.
#include "replies.h"

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

// Whether there was at least one message, one compared reply, and CPU time of the server.
static int has_measured(u64 messages, double cpu) { return messages > 0 && checked > 0 && (isnan(cpu) || cpu > 0); }

static void run_window(u64 *counter) {
  u64 begin = now_ns(), from = begin + (u64)(warmup * 1e9), until = from + (u64)(seconds * 1e9);
  u64 messages_from = 0, bytes_from = 0;
  u64 latest = begin + (u64)(warmup * 4e9);
  double cpu_begin = server_cpu(), cpu_from = 0, load_from = 0, all_from = 0;
  last_progress = now = begin;
  for (;;) {
    run_iteration(20);
    if (!measuring && now >= from && (now >= latest || is_warm(cpu_begin))) {
      measuring = 1;
      from = now_ns();
      until = from + (u64)(seconds * 1e9);
      messages_from = *counter;
      bytes_from = total_in;
      cpu_from = server_cpu();
      load_from = own_cpu();
      all_from = machine_cpu();
    } else if (measuring && ((now >= until && (now >= until + EXTENSION_LIMIT_NS || has_measured(*counter - messages_from, server_cpu() - cpu_from))) || (message_limit && *counter - messages_from >= message_limit))) {
      double cpu = server_cpu() - cpu_from, load_cpu = own_cpu() - load_from, all_cpu = machine_cpu() - all_from;
      report((double)(now_ns() - from) / 1e9, *counter - messages_from, total_in - bytes_from, cpu, load_cpu, all_cpu);
      finished = 1;
      return;
    }
  }
}

// Returns the server's CPU time since `from`. The kernel adds that of a running process with a delay, so a short burst may have none yet.
static double cpu_since(double from) {
  u64 until = now_ns() + EXTENSION_LIMIT_NS;
  double cpu;
  while ((cpu = server_cpu() - from) <= 0 && now_ns() < until) usleep(1000);
  return cpu;
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
    while (burst_seen < burst_count) run_iteration(100);
    double ms = (double)(now_ns() - from) / 1e6;
    cpu = cpu_since(cpu_from);
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
    while (completed < (u64)upto) run_iteration(100);
    for (int i = 0; i < 20; i++) run_iteration(10);
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
