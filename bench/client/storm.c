/*
 * The storm: many readers connect at almost the same moment, and each reads a whole response to its end.
 *
 * Usage: storm PORT PATH COUNT SPREAD_MS SKIP_LINES REFERENCE_FILE [LAST LEAST MOST [open]]
 *   SPREAD_MS         the readers connect within this time, evenly
 *   SKIP_LINES        lines at the start of each body that differ between readers
 *   REFERENCE_FILE    the body that follows those lines; every reader has to get it, byte by byte, and may get more
 *   LAST LEAST MOST   each reader resumes some lines before the end, between LEAST and MOST: %ld in PATH is the number of
 *                     the line it has already, where LAST is that of the last one
 *   open              the bodies have no end: a reader is done when it has the whole reference
 *
 * stdout: one JSON object, in microseconds: from the connect of a reader to its first byte of the body (quantiles), and
 * from the first connect to the end of the last body.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


enum { HEAD, SIZE, EXTENSION, DATA, DATA_END, COUNTED, DONE };
enum { RECEIVE_BYTES = 512 * 1024, HEAD_BYTES = 4096 };

struct reader {
  int fd, state, requested, skipped;
  size_t left;     /* bytes still to come: of the HTTP chunk, or of the body */
  size_t position; /* bytes of the reference it has */
  long has;        /* the number of the line it has already */
  char head[HEAD_BYTES + 1];
  size_t head_length;
  int64_t connected_at, first_byte_us;
};

static int port, count, skip_lines, has_no_end, poller, done;
static const char *path;
static struct reader *readers;
static unsigned char received[RECEIVE_BYTES];
static unsigned char *reference;
static size_t reference_length;

static void fault(const char *format, ...) {
  va_list list;
  printf("{\"fault\":\"");
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  printf("\"}\n");
  exit(1);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int number_of(const struct reader *r) { return (int)(r - readers); }

static void take_body(struct reader *r, const unsigned char *bytes, size_t length) {
  if (r->first_byte_us == 0) r->first_byte_us = now_us() - r->connected_at;
  while (length && r->skipped < skip_lines) {
    if (*bytes++ == '\n') r->skipped++;
    length--;
  }
  size_t room = reference_length - r->position;
  size_t compared = length < room ? length : room;
  if (memcmp(reference + r->position, bytes, compared) != 0) fault("reader %d: other bytes", number_of(r));
  r->position += compared;
}

static void finish(struct reader *r) {
  if (r->position < reference_length) fault("reader %d: its body ended too early", number_of(r));
  r->state = DONE;
  close(r->fd);
  done++;
}

static size_t take_head(struct reader *r, const unsigned char *bytes, size_t length) {
  size_t before = r->head_length, room = HEAD_BYTES - before, taken = length < room ? length : room;
  memcpy(r->head + before, bytes, taken);
  r->head[r->head_length += taken] = 0;
  char *end = strstr(r->head, "\r\n\r\n");
  if (!end) {
    if (r->head_length == HEAD_BYTES) fault("reader %d: too long a head", number_of(r));
    return taken;
  }
  end[2] = 0;
  if (strncmp(r->head, "HTTP/1.1 200", 12) != 0) fault("reader %d: %.12s", number_of(r), r->head);
  char *counted = strcasestr(r->head, "\r\ncontent-length: ");
  r->state = counted ? COUNTED : SIZE;
  r->left = counted ? strtoull(counted + 18, NULL, 10) : 0;
  return (size_t)(end + 4 - r->head) - before;
}

static void take_size_digit(struct reader *r, unsigned char byte) {
  if (isdigit(byte)) r->left = r->left * 16 + (byte - '0');
  else if (isxdigit(byte)) r->left = r->left * 16 + ((byte | 32) - 'a' + 10);
  else r->state = EXTENSION;
}

/* Takes HTTP/1.1 apart, however it was cut into reads. */
static void feed(struct reader *r, const unsigned char *bytes, size_t length) {
  while (length && r->state != DONE) {
    size_t used = 1;
    switch (r->state) {
      case HEAD: used = take_head(r, bytes, length); break;
      case SIZE: take_size_digit(r, *bytes); break;
      case EXTENSION:
        if (*bytes == '\n' && r->left == 0) finish(r);
        else if (*bytes == '\n') r->state = DATA;
        break;
      case DATA_END:
        if (*bytes == '\n') r->state = SIZE;
        break;
      default:
        used = r->left < length ? r->left : length;
        take_body(r, bytes, used);
        if (has_no_end && r->position == reference_length) {
          finish(r);
          break;
        }
        if ((r->left -= used) > 0) break;
        if (r->state == COUNTED) finish(r);
        else r->state = DATA_END;
    }
    bytes += used, length -= used;
  }
}

static void open_connection(struct reader *r) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = r};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (r->fd < 0) fault("socket: %s", strerror(errno));
  r->connected_at = now_us();
  if (connect(r->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) fault("connect: %s", strerror(errno));
  epoll_ctl(poller, EPOLL_CTL_ADD, r->fd, &event);
}

static void send_request(struct reader *r) {
  const char *format = "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/x-ndjson\r\nTE: chunked\r\n\r\n";
  char request[512], own_path[256];
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};
  snprintf(own_path, sizeof own_path, path, r->has);
  int length = snprintf(request, sizeof request, format, own_path, port);
  if (send(r->fd, request, length, MSG_NOSIGNAL) != length) fault("send: %s", strerror(errno));
  epoll_ctl(poller, EPOLL_CTL_MOD, r->fd, &event);
  r->requested = 1;
}

static void receive(struct reader *r) {
  ssize_t length = recv(r->fd, received, sizeof received, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) fault("reader %d: closed by the server", number_of(r));
  feed(r, received, length);
}

static int by_time(const void *a, const void *b) {
  int64_t difference = ((const struct reader *)a)->first_byte_us - ((const struct reader *)b)->first_byte_us;
  return (difference > 0) - (difference < 0);
}

static void read_reference(const char *name) {
  FILE *file = fopen(name, "rb");
  if (!file) fault("cannot open the reference");
  fseek(file, 0, SEEK_END);
  reference_length = ftell(file);
  rewind(file);
  reference = malloc(reference_length + 1);
  if (fread(reference, 1, reference_length, file) != reference_length) fault("cannot read the reference");
  fclose(file);
}

/* Spreads the readers over the last lines of the reference. */
static void place_readers(long last, long least, long most) {
  for (int i = 0; i < count; i++) {
    long behind = least + i * 37L % (most - least + 1);
    size_t offset = reference_length;
    for (long lines = 0; offset > 0; offset--) {
      if (reference[offset - 1] == '\n' && lines++ == behind) break;
    }
    readers[i].has = last - behind;
    readers[i].position = offset;
  }
}

int main(int argc, char **argv) {
  if (argc != 7 && argc != 10 && argc != 11) return 2;
  port = atoi(argv[1]), path = argv[2], count = atoi(argv[3]);
  int64_t spread_us = atoll(argv[4]) * 1000;
  skip_lines = atoi(argv[5]);
  read_reference(argv[6]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  readers = calloc(count, sizeof *readers);
  has_no_end = argc == 11;
  if (argc >= 10) place_readers(atol(argv[7]), atol(argv[8]), atol(argv[9]));
  poller = epoll_create1(0);
  int64_t start = now_us();
  for (int opened = 0; done < count;) {
    struct epoll_event ready[512];
    while (opened < count && now_us() - start >= spread_us * opened / count) open_connection(&readers[opened++]);
    int n = epoll_wait(poller, ready, 512, opened < count ? 0 : 10000);
    if (n == 0 && opened == count) fault("%d of %d readers are done, and nothing comes", done, count);
    for (int i = 0; i < n; i++) {
      struct reader *r = ready[i].data.ptr;
      if (!r->requested) send_request(r);
      else receive(r);
    }
  }
  int64_t total = now_us() - start;
  qsort(readers, count, sizeof *readers, by_time);
  printf("{\"total\":%lld,\"first50\":%lld,\"first99\":%lld}\n", (long long)total,
    (long long)readers[count / 2].first_byte_us, (long long)readers[count * 99 / 100].first_byte_us);
  return 0;
}
