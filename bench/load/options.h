// Options of the load generator, and CPU times.
#pragma once
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
