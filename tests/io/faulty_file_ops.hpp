// FileOps whose k-th system call fails, once or from there on for ever; short transfers and EINTR
// are faults of their own, which callers must survive.
#pragma once

#include <cerrno>

#include "gov/io/file.hpp"

struct Faults {
  enum class Kind { error, interrupted, short_count };
  static inline Kind kind = Kind::error;
  static inline int code = EIO;
  static inline int fail_at = 0;  // 1 is the first call; 0: never
  static inline bool for_ever = false;
  static inline int calls = 0;
  static inline int open_files = 0;

  static void set(Kind new_kind, int new_code, int at, bool ever) {
    kind = new_kind;
    code = new_code;
    fail_at = at;
    for_ever = ever;
    calls = 0;
  }
  // What a call is to do. Opening, closing, renaming never transfer less; closing is not
  // interrupted twice.
  static bool strikes() {
    ++calls;
    return fail_at != 0 && (for_ever ? calls >= fail_at : calls == fail_at);
  }
  static int failure() {
    errno = kind == Kind::error ? code : EINTR;
    return -1;
  }
};

inline constexpr gov::FileOps faulty_file_ops{
    .open =
        [](const char* path, int flags, mode_t mode) {
          if (Faults::strikes() && Faults::kind != Faults::Kind::short_count)
            return Faults::failure();
          const int fd = gov::system_file_ops.open(path, flags, mode);
          Faults::open_files += fd != -1;
          return fd;
        },
    .close =
        [](int fd) {
          const bool fails = Faults::strikes() && Faults::kind != Faults::Kind::short_count;
          gov::system_file_ops.close(fd);  // as Linux does: the descriptor is gone in any case
          --Faults::open_files;
          return fails ? Faults::failure() : 0;
        },
    .fstat =
        [](int fd, struct stat* status) {
          if (Faults::strikes() && Faults::kind == Faults::Kind::error) return Faults::failure();
          return gov::system_file_ops.fstat(fd, status);
        },
    .pread =
        [](int fd, void* to, std::size_t bytes, off_t offset) {
          if (Faults::strikes()) {
            if (Faults::kind != Faults::Kind::short_count) return ssize_t{Faults::failure()};
            bytes = bytes > 1 ? bytes / 2 : bytes;
          }
          return gov::system_file_ops.pread(fd, to, bytes, offset);
        },
    .pwrite =
        [](int fd, const void* from, std::size_t bytes, off_t offset) {
          if (Faults::strikes()) {
            if (Faults::kind != Faults::Kind::short_count) return ssize_t{Faults::failure()};
            bytes = bytes > 1 ? bytes / 2 : bytes;
          }
          return gov::system_file_ops.pwrite(fd, from, bytes, offset);
        },
    .fallocate =
        [](int fd, off_t offset, off_t bytes) {
          if (Faults::strikes() && Faults::kind != Faults::Kind::short_count)
            return Faults::kind == Faults::Kind::error ? Faults::code : EINTR;
          return gov::system_file_ops.fallocate(fd, offset, bytes);
        },
    .fsync =
        [](int fd) {
          if (Faults::strikes() && Faults::kind != Faults::Kind::short_count)
            return Faults::failure();
          return gov::system_file_ops.fsync(fd);
        },
    .rename =
        [](const char* from, const char* to) {
          if (Faults::strikes() && Faults::kind == Faults::Kind::error) return Faults::failure();
          return gov::system_file_ops.rename(from, to);
        },
    .unlink = [](const char* path) { return gov::system_file_ops.unlink(path); },
    .mmap =
        [](std::size_t bytes, int fd) {
          if (Faults::strikes() && Faults::kind == Faults::Kind::error) {
            errno = Faults::code;
            return MAP_FAILED;
          }
          return gov::system_file_ops.mmap(bytes, fd);
        },
    .fadvise =
        [](int fd, off_t offset, off_t bytes, int advice) {
          if (Faults::strikes() && Faults::kind == Faults::Kind::error) return Faults::code;
          return gov::system_file_ops.fadvise(fd, offset, bytes, advice);
        },
};
