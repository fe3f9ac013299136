// Preloaded into a run: the FAULT_N-th call that opens or changes something below FAULT_UNDER fails with FAULT_ERRNO, and says
// so on standard error.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static int fails(const char *call, const char *path) {
  static atomic_int calls;
  const char *under = getenv("FAULT_UNDER");
  if (!under || strncmp(path, under, strlen(under)) || ++calls != atoi(getenv("FAULT_N"))) return 0;
  dprintf(2, "fault: %s %s\n", call, path);
  errno = atoi(getenv("FAULT_ERRNO"));
  return 1;
}

static int fails_at(const char *call, int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return fails("open", path) ? -1 : REAL(open64)(path, flags, mode);
}
ssize_t write(int file, const void *bytes, size_t count) {
  return fails_at("write", file) ? -1 : REAL(write)(file, bytes, count);
}
int fsync(int file) { return fails_at("fsync", file) ? -1 : REAL(fsync)(file); }
int flock(int file, int how) { return fails_at("flock", file) ? -1 : REAL(flock)(file, how); }
int ftruncate64(int file, off64_t size) { return fails_at("ftruncate", file) ? -1 : REAL(ftruncate64)(file, size); }
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return fails("unlink", path) ? -1 : REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
