/*
 * The load client: many subscribers in one process, every byte of every one of them checked (reference.h).
 *
 * Usage: subscribers PORT PATH FORMAT COUNT STALLED START LATENCY REFERENCE_FILE
 *   FORMAT   ndjson or sse
 *   STALLED  the first so many connections read up to the start of the run and never again
 *   START    1 if the server sends something in the body before the first event
 *   LATENCY  1 to measure how old events are when they arrive
 *
 * stdin:  "expect N" answers once every reading connection holds N events; "mark" forgets the latencies;
 *         "finish" listens a little longer, writes the reference and exits; so does the end of stdin.
 * stdout: one JSON object a line: connected, reached, finished, fault.
 */
#define _GNU_SOURCE
#include "reference.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD, SIZE, EXTENSION, DATA, DATA_END, IDENTITY };
enum { RECEIVE_BYTES = 256 * 1024, HEAD_BYTES = 4096, CONNECTING_AT_ONCE = 64, FEW = 64 };
enum { QUIET_US = 100 * 1000, LISTEN_ON_US = 60 * 1000 };

/*
 * Where latency is not measured, a client with little to do sleeps this long. To wake it for every single
 * write costs the server as much as the write, where both run on virtual cores; subscribers far away cost no
 * such thing.
 */
static const struct timespec NAP = {0, 200 * 1000};

struct connection {
  int fd, state, requested;
  size_t chunk_left; /* bytes of the current HTTP chunk still to come */
  size_t preamble;   /* body bytes before the run, and the last of them */
  unsigned char preamble_end;
  char *head;
  size_t head_length;
  struct reader reader;
};

static int port, sse, count, stalled, want_start, latency;
static const char *path, *reference_file;
static struct connection *connections;
static int poller, armed, opened, heads, started;
static unsigned char received[RECEIVE_BYTES];
static size_t expected;
static int expecting, finishing, progressed;
static int64_t progress_at, finish_at, quiet_since;

void fault(const char *format, ...) {
  va_list list;
  printf("{\"fault\":\"");
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  printf("\"}\n");
  fflush(stdout);
  exit(1);
}

static void take_body(struct connection *c, const unsigned char *bytes, size_t length) {
  if (armed) {
    progressed |= reference_take(&c->reader, bytes, length);
    return;
  }
  if (c->preamble == 0) started++;
  c->preamble += length;
  c->preamble_end = bytes[length - 1];
}

static size_t take_head(struct connection *c, const unsigned char *bytes, size_t length) {
  if (!c->head && !(c->head = malloc(HEAD_BYTES + 1))) fault("out of memory");
  size_t before = c->head_length, room = HEAD_BYTES - before, taken = length < room ? length : room;
  memcpy(c->head + before, bytes, taken);
  c->head[c->head_length += taken] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (!end) {
    if (c->head_length == HEAD_BYTES) fault("connection %d: too long a head", c->reader.number);
    return taken;
  }
  end[2] = 0;
  if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) fault("connection %d: %.12s", c->reader.number, c->head);
  c->state = strcasestr(c->head, "\r\ntransfer-encoding: chunked\r\n") ? SIZE : IDENTITY;
  size_t used = (size_t)(end + 4 - c->head) - before;
  free(c->head);
  c->head = NULL;
  heads++;
  return used;
}

static void take_size_digit(struct connection *c, unsigned char byte) {
  if (isdigit(byte)) c->chunk_left = c->chunk_left * 16 + (byte - '0');
  else if (isxdigit(byte)) c->chunk_left = c->chunk_left * 16 + ((byte | 32) - 'a' + 10);
  else if (byte == ';' || byte == '\r') c->state = EXTENSION;
  else fault("connection %d: bad chunk size", c->reader.number);
}

/* Takes HTTP/1.1 apart, however it was cut into reads. */
static void feed(struct connection *c, const unsigned char *bytes, size_t length) {
  while (length) {
    size_t used = 1;
    switch (c->state) {
      case HEAD: used = take_head(c, bytes, length); break;
      case SIZE: take_size_digit(c, *bytes); break;
      case EXTENSION:
        if (*bytes != '\n') break;
        if (c->chunk_left == 0) fault("connection %d: the server ended the response", c->reader.number);
        c->state = DATA;
        break;
      case DATA:
        used = c->chunk_left < length ? c->chunk_left : length;
        take_body(c, bytes, used);
        if ((c->chunk_left -= used) == 0) c->state = DATA_END;
        break;
      case DATA_END:
        if (*bytes == '\n') c->state = SIZE;
        break;
      default: used = length; take_body(c, bytes, used);
    }
    bytes += used, length -= used;
  }
}

static void open_connection(struct connection *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  int yes = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fault("socket: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (c->reader.number < stalled) { /* so that the kernel takes tens of kilobytes for it, not megabytes */
    int segment = 1460, window = 4096;
    setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  }
  int failed = connect(c->fd, (struct sockaddr *)&to, sizeof to);
  if (failed && errno != EINPROGRESS) fault("connect: %s", strerror(errno));
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_request(struct connection *c) {
  const char *accept = sse ? "text/event-stream" : "application/x-ndjson";
  const char *format = "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: %s\r\nTE: chunked\r\n\r\n";
  char request[512];
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  int failed = 0;
  socklen_t size = sizeof failed;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &size);
  if (failed) fault("connect: %s", strerror(failed));
  int length = snprintf(request, sizeof request, format, path, port, accept);
  if (send(c->fd, request, length, MSG_NOSIGNAL) != length) fault("send: %s", strerror(errno));
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
  c->requested = 1;
}

static void receive(struct connection *c) {
  ssize_t length = recv(c->fd, received, sizeof received, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length == 0) fault("connection %d: closed by the server", c->reader.number);
  if (length < 0) fault("connection %d: %s", c->reader.number, strerror(errno));
  feed(c, received, length);
  quiet_since = 0;
}

/* Begins the run once everybody is connected and nothing comes any more. */
static void arm_when_quiet(void) {
  if (heads < count || (want_start && started < count)) return;
  if (quiet_since == 0) quiet_since = wall_clock();
  if (wall_clock() - quiet_since < QUIET_US) return;
  for (int i = 0; i < count; i++) {
    struct connection *c = &connections[i];
    if (c->preamble && c->preamble_end != '\n') fault("connection %d: the start does not end a line", i);
    if (i < stalled) epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
  }
  armed = 1;
  printf("{\"connected\":%d}\n", count);
  fflush(stdout);
}

/* How many of those who read do not have so many events. */
static int behind(size_t events) {
  int n = 0;
  for (int i = stalled; i < count; i++) n += connections[i].reader.position < reference_end(events);
  return n;
}

static void answer_expected(void) {
  if (!expecting || reference_events() < expected || behind(expected)) return;
  expecting = 0;
  printf("{\"reached\":%zu,\"at\":%lld}\n", reference_events(), (long long)progress_at);
  fflush(stdout);
}

static void finish(void) {
  size_t events = reference_events();
  if (!reference_write(reference_file)) fault("cannot write the reference");
  printf("{\"finished\":%zu,\"heartbeats\":%zu,", events, reference_heartbeats());
  printf("\"behind\":%d,\"p50\":%u,", behind(events), latency_quantile(.5));
  printf("\"p99\":%u,\"max\":%u}\n", latency_quantile(.99), latency_quantile(1));
  exit(0);
}

static void command(const char *line) {
  if (strncmp(line, "expect ", 7) == 0) expected = strtoull(line + 7, NULL, 10), expecting = 1;
  else if (strcmp(line, "mark") == 0) latency_forget();
  else if (strcmp(line, "finish") == 0) finishing = 1, finish_at = wall_clock() + LISTEN_ON_US;
}

static void read_commands(void) {
  static char text[1024];
  static size_t length;
  ssize_t more = read(0, text + length, sizeof text - length - 1);
  if (more <= 0) exit(0);
  text[length += more] = 0;
  char *from = text, *end;
  for (; (end = strchr(from, '\n')); from = end + 1) {
    *end = 0;
    command(from);
  }
  length -= from - text;
  memmove(text, from, length);
}

int main(int argc, char **argv) {
  if (argc != 9) return 2;
  port = atoi(argv[1]), path = argv[2], sse = strcmp(argv[3], "sse") == 0;
  count = atoi(argv[4]), stalled = atoi(argv[5]), want_start = atoi(argv[6]), latency = atoi(argv[7]);
  reference_file = argv[8];
  reference_begin(sse, latency);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  connections = calloc(count, sizeof *connections);
  for (int i = 0; i < count; i++) connections[i].reader.number = i;
  poller = epoll_create1(0);
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input);
  for (;;) {
    struct epoll_event ready[512];
    while (opened < count && opened - heads < CONNECTING_AT_ONCE) open_connection(&connections[opened++]);
    int n = epoll_wait(poller, ready, 512, armed && !finishing ? -1 : 10);
    for (int i = 0; i < n; i++) {
      struct connection *c = ready[i].data.ptr;
      if (!c) read_commands();
      else if (!c->requested) send_request(c);
      else receive(c);
    }
    if (progressed) progress_at = wall_clock(), progressed = 0;
    answer_expected();
    if (finishing && wall_clock() > finish_at) finish();
    if (!armed) arm_when_quiet();
    else if (!latency && n < FEW) nanosleep(&NAP, NULL);
  }
}
