// libwebsockets: one context, one service thread, one protocol callback. Writes as many messages in one writable
// callback as the socket takes, and receives into a buffer large enough for a whole read.
//
//   hose, deflate, send, echo, echo-blocking, cycles, idle   --api callback
#include <libwebsockets.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BUFFER (64 * 1024)

static struct {
  const char *workload, *kind;
  int port;
  size_t size;
  uint64_t count, warmup;
} options = {.workload = "", .kind = "binary", .size = 16, .count = 1000};

// What the connection of the moment is doing. One workload runs at a time, so one of these is enough.
static struct {
  struct lws_context *context;
  struct lws *wsi;
  uint64_t target;  // messages of this run
  uint64_t messages, bytes;
  uint32_t checksum;
  double begin, seconds;
  uint8_t *out;  // LWS_PRE bytes of room, and then a message
  uint64_t left_to_send;
  double *samples, sent_at;
  uint64_t round_trips;
  uint64_t open;
  bool established, closing, closed, done;
  char report[160];
  size_t report_size;
  char *text;  // the message that is being put together, if it is text
  size_t text_size;
  // For the blocking caller.
  atomic_bool requested, stop;
  pthread_mutex_t lock;
  pthread_cond_t answered;
  bool answer;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "libwebsockets: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static long status_number(const char *name) {
  char line[256];
  long value = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) {
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
  }
  if (status) fclose(status);
  return value;
}

static bool is(const char *workload) {
  return strcmp(options.workload, workload) == 0;
}

// MARK: What arrives

static void receive_hose(struct lws *wsi, const uint8_t *bytes, size_t size) {
  run.bytes += size;
  bool whole = lws_remaining_packet_payload(wsi) == 0 && lws_is_final_fragment(wsi);
  if (run.text) {
    // What uses a text message needs it in one piece.
    memcpy(run.text + run.text_size, bytes, size);
    run.text_size += size;
    if (!whole) return;
    run.text[run.text_size] = 0;
    bytes = (const uint8_t *)run.text;
    size = run.text_size;
    run.text_size = 0;
  }
  if (!whole) return;
  run.messages++;
  run.checksum = run.checksum * 31 + (size ? bytes[size - 1] : 0);
  if (run.messages == run.target) {
    run.seconds = now() - run.begin;
    run.done = true;
  }
}

static void receive_report(struct lws *wsi, const char *bytes, size_t size) {
  if (run.report_size + size >= sizeof run.report) fail("the sink's report is too long");
  memcpy(run.report + run.report_size, bytes, size);
  run.report_size += size;
  if (lws_remaining_packet_payload(wsi) || !lws_is_final_fragment(wsi)) return;
  run.seconds = now() - run.begin;
  unsigned long long messages, count;
  if (sscanf(run.report, "{\"messages\":%llu,\"bytes\":%llu,\"checksum\":%u}", &messages, &count, &run.checksum) != 3)
    fail("the sink's report");
  run.messages = messages;
  run.bytes = count;
  run.done = true;
}

static void write_message(struct lws *wsi, enum lws_write_protocol protocol) {
  // lws_write masks in place, so the message is made anew each time.
  memset(run.out + LWS_PRE, 'x', options.size - 1);
  run.out[LWS_PRE + options.size - 1] = 'a';
  if (lws_write(wsi, run.out + LWS_PRE, options.size, protocol) < (int)options.size) fail("lws_write");
}

static void receive_echo(struct lws *wsi, const uint8_t *bytes, size_t size) {
  if (size != options.size || bytes[size - 1] != 'a') fail("the echo is not what was sent");
  if (is("echo-blocking")) {
    pthread_mutex_lock(&run.lock);
    run.answer = true;
    pthread_mutex_unlock(&run.lock);
    pthread_cond_signal(&run.answered);
    return;
  }
  double time = now();
  if (run.round_trips >= options.warmup) {
    run.samples[run.round_trips - options.warmup] = time - run.sent_at;
    run.messages++;
    run.bytes += size;
  } else if (run.round_trips + 1 == options.warmup) {
    run.begin = time;
  }
  if (++run.round_trips == options.warmup + options.count) {
    run.seconds = time - run.begin;
    run.done = true;
    return;
  }
  run.sent_at = now();
  write_message(wsi, LWS_WRITE_BINARY);
}

// MARK: The protocol's callback

static void writable(struct lws *wsi) {
  if (is("send")) {
    while (run.left_to_send && !lws_send_pipe_choked(wsi)) {
      write_message(wsi, LWS_WRITE_BINARY);
      if (--run.left_to_send == 0) {
        uint8_t report[LWS_PRE + 6];
        memcpy(report + LWS_PRE, "report", 6);
        if (lws_write(wsi, report + LWS_PRE, 6, LWS_WRITE_TEXT) < 6) fail("lws_write");
        return;
      }
    }
    if (run.left_to_send) lws_callback_on_writable(wsi);
  } else if (is("echo")) {
    run.sent_at = now();
    write_message(wsi, LWS_WRITE_BINARY);
  } else if (is("echo-blocking")) {
    if (atomic_exchange(&run.requested, false)) write_message(wsi, LWS_WRITE_BINARY);
  }
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
  (void)user;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      fail(in ? in : "the connection failed");
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      run.established = true;
      run.open++;
      if (!is("idle")) run.wsi = wsi;
      if (!is("cycles") && !is("idle")) run.begin = now();
      if (!is("hose") && !is("deflate") && !is("idle")) lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      if (run.done && !is("echo-blocking")) break;
      if (is("hose") || is("deflate")) {
        receive_hose(wsi, in, size);
      } else if (is("send")) {
        receive_report(wsi, in, size);
      } else {
        receive_echo(wsi, in, size);
      }
      break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      if (is("cycles") || run.closing) {
        // Refusing to go on is how a connection is closed: Close is sent and its answer awaited.
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1;
      }
      writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_CLOSED:
      run.open--;
      run.closed = true;
      break;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
      if (run.wsi && atomic_load(&run.requested)) lws_callback_on_writable(run.wsi);
      break;
    default:
      break;
  }
  return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "bench", .callback = callback, .rx_buffer_size = RECEIVE_BUFFER},
    {0},
};

static const struct lws_extension deflate_extension[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; client_max_window_bits"},
    {NULL, NULL, NULL},
};

// MARK: Workloads

static void make_context(void) {
  struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN,
      .protocols = protocols,
      .extensions = is("deflate") ? deflate_extension : NULL,
      .pt_serv_buf_size = RECEIVE_BUFFER,
      .gid = -1,
      .uid = -1,
  };
  lws_set_log_level(LLL_ERR, NULL);
  run.context = lws_create_context(&info);
  if (!run.context) fail("lws_create_context");
}

static void service(void) {
  if (lws_service(run.context, 0) < 0) fail("lws_service");
}

// Starts a connection and serves until it is open.
static void open_connection(const char *path) {
  char host[32];
  snprintf(host, sizeof host, "127.0.0.1:%d", options.port);
  struct lws_client_connect_info info = {
      .context = run.context,
      .address = "127.0.0.1",
      .port = options.port,
      .path = path,
      .host = host,
      .origin = host,
  };
  run.established = run.closed = false;
  if (!lws_client_connect_via_info(&info)) fail("lws_client_connect_via_info");
  while (!run.established) service();
}

static void close_connection(void) {
  run.closing = true;
  lws_callback_on_writable(run.wsi);
  while (!run.closed) service();
  run.closing = false;
}

static void transfer(uint64_t count) {
  char path[160] = "/sink";
  if (is("hose")) {
    snprintf(path, sizeof path, "/hose?size=%zu&count=%llu&kind=%s", options.size, (unsigned long long)count,
             options.kind);
  } else if (is("deflate")) {
    snprintf(path, sizeof path, "/hose?size=%zu&count=%llu&kind=text&deflate=1", options.size,
             (unsigned long long)count);
  }
  if (is("deflate") || strcmp(options.kind, "text") == 0) run.text = malloc(options.size + 1);
  run.target = run.left_to_send = count;
  run.messages = run.bytes = run.checksum = run.report_size = 0;
  run.done = false;
  open_connection(path);
  while (!run.done) service();
  close_connection();
}

static void echo(void) {
  run.samples = malloc(options.count * sizeof *run.samples);
  open_connection("/echo");
  while (!run.done) service();
  close_connection();
}

static void *serve(void *unused) {
  (void)unused;
  while (!atomic_load(&run.stop)) service();
  return NULL;
}

static void echo_blocking(void) {
  run.samples = malloc(options.count * sizeof *run.samples);
  open_connection("/echo");
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve, NULL) != 0) fail("pthread_create");
  for (uint64_t i = 0; i < options.warmup + options.count; i++) {
    double start = now();
    if (i == options.warmup) run.begin = start;
    atomic_store(&run.requested, true);
    lws_cancel_service(run.context);
    pthread_mutex_lock(&run.lock);
    while (!run.answer) pthread_cond_wait(&run.answered, &run.lock);
    run.answer = false;
    pthread_mutex_unlock(&run.lock);
    if (i >= options.warmup) run.samples[i - options.warmup] = now() - start;
  }
  run.seconds = now() - run.begin;
  run.messages = options.count;
  run.bytes = options.count * options.size;
  atomic_store(&run.stop, true);
  lws_cancel_service(run.context);
  pthread_join(thread, NULL);
  close_connection();
}

static void cycles(uint64_t count) {
  run.begin = now();
  for (run.messages = 0; run.messages < count; run.messages++) {
    open_connection("/idle");
    while (!run.closed) service();
  }
  run.seconds = now() - run.begin;
}

static void idle(long *growth) {
  open_connection("/idle");
  long before = status_number("VmRSS");
  run.begin = now();
  for (run.messages = 0; run.messages < options.count; run.messages++) open_connection("/idle");
  run.seconds = now() - run.begin;
  *growth = status_number("VmRSS") - before;
  if (run.open != options.count + 1) fail("a connection ended");
}

// MARK: The command

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double percentile(uint64_t thousandths) {
  uint64_t rank = (options.count * thousandths + 999) / 1000;
  return run.samples[rank ? rank - 1 : 0] * 1e6;
}

int main(int argc, char **argv) {
  if (argc > 1) options.workload = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const char *value = argv[i + 1];
    if (strcmp(argv[i], "--url") == 0 && strrchr(value, ':')) options.port = atoi(strrchr(value, ':') + 1);
    if (strcmp(argv[i], "--kind") == 0) options.kind = value;
    if (strcmp(argv[i], "--size") == 0) options.size = strtoull(value, NULL, 10);
    if (strcmp(argv[i], "--count") == 0) options.count = strtoull(value, NULL, 10);
    if (strcmp(argv[i], "--warmup") == 0) options.warmup = strtoull(value, NULL, 10);
  }
  run.out = malloc(LWS_PRE + options.size);
  make_context();
  long growth = -1;
  if (is("hose") || is("deflate") || is("send")) {
    if (options.warmup) transfer(options.warmup);
    transfer(options.count);
  } else if (is("echo")) {
    echo();
  } else if (is("echo-blocking")) {
    echo_blocking();
  } else if (is("cycles")) {
    if (options.warmup) cycles(options.warmup);
    cycles(options.count);
  } else if (is("idle")) {
    idle(&growth);
  } else {
    fail("unknown workload");
  }
  printf(
      "{\"peer\":\"libwebsockets\",\"api\":\"callback\",\"workload\":\"%s\",\"version\":\"%s\",\"messages\":%llu,"
      "\"bytes\":%llu,\"seconds\":%.6f,",
      options.workload, LWS_LIBRARY_VERSION, (unsigned long long)run.messages, (unsigned long long)run.bytes,
      run.seconds);
  if (run.checksum) printf("\"checksum\":%u,", run.checksum);
  if (run.samples) {
    qsort(run.samples, options.count, sizeof *run.samples, compare);
    printf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,", percentile(500), percentile(990), percentile(999));
  }
  if (growth >= 0)
    printf("\"kib_per_connection\":%.2f,\"threads_open\":%ld,", (double)growth / (double)options.count,
           status_number("Threads"));
  printf("\"resident_kib\":%ld,\"threads\":%ld}\n", status_number("VmRSS"), status_number("Threads"));
  fflush(stdout);
  _exit(0);  // the context is not torn down: with idle connections that would take longer than the run
}
