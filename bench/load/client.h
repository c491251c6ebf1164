// Shared by the load generators: clocks, a latency histogram, client frames.
#define _GNU_SOURCE
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="            // RFC 6455 section 1.3: a key and
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="     // its accept value, so that no SHA-1 is needed

typedef unsigned char u8;
typedef uint64_t u64;

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  exit(1);
}

static u64 now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

// Returns CPU time in seconds: user and system, all threads.
static double cpu_of(int pid) {
  clockid_t clock;
  struct timespec t;
  if (!pid) return NAN;
  if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) die("no CPU clock for process %d", pid);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double own_cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- latency: a log-linear histogram, 64 buckets for each power of two (1.6 %) ------------------------------------
#define SUB 64
static u64 histogram[SUB * 44], histogram_count, histogram_max;

static void record(u64 ns) {
  int shift = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 6;
  u64 slot = (u64)shift * SUB + (ns >> shift);
  if (slot >= SUB * 44) slot = SUB * 44 - 1;
  histogram[slot]++;
  histogram_count++;
  if (ns > histogram_max) histogram_max = ns;
}

static double quantile_us(double q) {
  u64 want = (u64)ceil(q * (double)histogram_count), seen = 0;
  for (u64 slot = 0; slot < SUB * 44; slot++) {
    seen += histogram[slot];
    if (seen >= want && seen > 0) {
      // The slot of shift s holds s * SUB + (ns >> s), where ns >> s is in [SUB, 2 SUB) except for s = 0.
      u64 shift = slot < 2 * SUB ? 0 : slot / SUB - 1;
      u64 value = (slot - shift * SUB + 1) << shift;
      return (double)(value < histogram_max ? value : histogram_max) / 1000.0;
    }
  }
  return 0;
}

// ---- frames ------------------------------------------------------------------------------------------------------
static u64 random_state = 0x9e3779b97f4a7c15ull;

static uint32_t random32(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 16);
}

static int put_header(u8 *out, int first, size_t n, const u8 *mask) {
  int at = 0;
  out[at++] = (u8)first;
  if (n < 126) out[at++] = (u8)(0x80 | n);
  else if (n < 65536) {
    out[at++] = 0x80 | 126;
    out[at++] = (u8)(n >> 8);
    out[at++] = (u8)n;
  } else {
    out[at++] = 0x80 | 127;
    for (int i = 7; i >= 0; i--) out[at++] = (u8)((u64)n >> (8 * i));
  }
  memcpy(out + at, mask, 4);
  return at + 4;
}

// RFC 6455 section 5.3: octet i is XORed with octet i mod 4 of the masking key.
static size_t put_frame(u8 *out, int first, const u8 *payload, size_t n) {
  u8 mask[4];
  for (int i = 0; i < 4; i++) mask[i] = (u8)(1 + random32() % 255);
  size_t at = (size_t)put_header(out, first, n, mask);
  for (size_t i = 0; i < n; i++) out[at + i] = payload[i] ^ mask[i & 3];
  return at + n;
}
