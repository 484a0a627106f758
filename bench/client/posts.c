/*
 * The load client of publishing: connections that are kept open, each with one request at a time.
 *
 * Usage: posts PORT CONNECTIONS MILLISECONDS REQUEST_FILE EXPECTED
 *   REQUEST_FILE  the bytes of a request, head and body, sent again and again
 *   EXPECTED      what every response contains; a response without it is a fault, as is one that is not 2xx
 *
 * Prints one JSON object: the number of requests answered, all of them, and the seconds from the first to the last.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RESPONSE_BYTES = 16 * 1024 };

struct connection {
  int fd;
  size_t sent;     /* bytes of the request; all of them while a response is awaited */
  size_t received; /* bytes of the response */
  char response[RESPONSE_BYTES + 1];
};

static char *request;
static size_t request_length;
static const char *expected;
static int poller, open_requests;
static long answered;
static double deadline;

static void fault(const char *format, ...) {
  va_list list;
  printf("{\"fault\":\"");
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  printf("\"}\n");
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void watch(struct connection *c, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(poller, operation, c->fd, &event);
}

static void send_more(struct connection *c) {
  ssize_t length = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
  if (length < 0 && errno != EAGAIN) fault("send: %s", strerror(errno));
  if (length > 0) c->sent += length;
  watch(c, EPOLL_CTL_MOD, c->sent < request_length ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Small requests are sent in one call, and need no other. */
static void send_request(struct connection *c) {
  ssize_t length = send(c->fd, request, request_length, MSG_NOSIGNAL);
  if (length < 0 && errno != EAGAIN) fault("send: %s", strerror(errno));
  c->received = 0, c->sent = length < 0 ? 0 : length;
  open_requests++;
  if (c->sent < request_length) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

/* Whether the response is whole: its head says how long it is, or it has no body, or it ends with an empty chunk. */
static int is_whole(struct connection *c) {
  c->response[c->received] = 0;
  char *body = strstr(c->response, "\r\n\r\n");
  if (!body) return 0;
  size_t head = body + 4 - c->response;
  char *length = strcasestr(c->response, "\r\ncontent-length:");
  if (length && length < body) return c->received >= head + strtoul(length + 17, NULL, 10);
  if (strncmp(c->response, "HTTP/1.1 204", 12) == 0) return 1;
  return c->received >= head + 5 && memcmp(c->response + c->received - 5, "0\r\n\r\n", 5) == 0;
}

static void receive(struct connection *c) {
  ssize_t length = recv(c->fd, c->response + c->received, RESPONSE_BYTES - c->received, 0);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) fault("closed by the server after %ld responses", answered);
  c->received += length;
  if (!is_whole(c)) return;
  if (strncmp(c->response, "HTTP/1.1 2", 10) != 0) fault("%.12s", c->response);
  if (!strstr(c->response, expected)) fault("a response without what is expected in it");
  if (c->sent < request_length) fault("a response before the end of the request");
  answered++, open_requests--;
  if (now() < deadline) send_request(c);
}

static void read_request(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fault("cannot open the request");
  fseek(file, 0, SEEK_END);
  request_length = ftell(file);
  rewind(file);
  request = malloc(request_length);
  if (fread(request, 1, request_length, file) != request_length) fault("cannot read the request");
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  int count = atoi(argv[2]), yes = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  read_request(argv[4]);
  expected = argv[5];
  poller = epoll_create1(0);
  struct connection *connections = calloc(count, sizeof *connections);
  for (int i = 0; i < count; i++) {
    struct connection *c = &connections[i];
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) fault("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
  double started = now();
  deadline = started + atoi(argv[3]) / 1000.0;
  for (int i = 0; i < count; i++) send_request(&connections[i]);
  while (open_requests > 0) {
    struct epoll_event ready[64];
    int n = epoll_wait(poller, ready, 64, 10000);
    if (n == 0) fault("no response for 10 s");
    for (int i = 0; i < n; i++) {
      struct connection *c = ready[i].data.ptr;
      if (ready[i].events & EPOLLOUT) send_more(c);
      if (ready[i].events & ~EPOLLOUT) receive(c);
    }
  }
  printf("{\"requests\":%ld,\"seconds\":%.6f}\n", answered, now() - started);
  return 0;
}
