// File, MappedFile, AtomicFile: regular files, read by pread into the caller's memory (the
// default), or mapped, or written aside, synced and renamed. Every failure is a gov::Error with the
// path and the system's reason. FileOps is the seam through which tests make any single system call
// fail.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "gov/core/error.hpp"

namespace gov {

// The system calls that this layer makes; each behaves as its POSIX namesake (fallocate and fadvise
// return the error).
struct FileOps {
  int (*open)(const char* path, int flags, mode_t mode);
  int (*close)(int fd);
  int (*fstat)(int fd, struct stat* status);
  ssize_t (*pread)(int fd, void* to, std::size_t bytes, off_t offset);
  ssize_t (*pwrite)(int fd, const void* from, std::size_t bytes, off_t offset);
  int (*fallocate)(int fd, off_t offset, off_t bytes);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
  void* (*mmap)(std::size_t bytes, int fd);
  int (*fadvise)(int fd, off_t offset, off_t bytes, int advice);
};

inline constexpr FileOps system_file_ops{
    .open = [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
    .close = [](int fd) { return ::close(fd); },
    .fstat = [](int fd, struct stat* status) { return ::fstat(fd, status); },
    .pread = [](int fd, void* to, std::size_t bytes,
                off_t at) { return ::pread(fd, to, bytes, at); },
    .pwrite = [](int fd, const void* from, std::size_t bytes,
                 off_t at) { return ::pwrite(fd, from, bytes, at); },
    .fallocate = [](int fd, off_t at, off_t bytes) { return ::posix_fallocate(fd, at, bytes); },
    .fsync = [](int fd) { return ::fsync(fd); },
    .rename = [](const char* from, const char* to) { return std::rename(from, to); },
    .unlink = [](const char* path) { return ::unlink(path); },
    .mmap = [](std::size_t bytes,
               int fd) { return ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0); },
    .fadvise = [](int fd, off_t at, off_t bytes,
                  int advice) { return ::posix_fadvise(fd, at, bytes, advice); },
};

[[noreturn]] inline void throw_io_error(const std::string& path, std::string expected, int error) {
  throw Error({.code = Errc::io_error,
               .file = path,
               .field = {},
               .expected = std::move(expected),
               .found = std::generic_category().message(error)});
}

namespace file_detail {

constexpr std::size_t most_bytes_per_call = std::size_t{1} << 30;

template <class Call>
auto retry_interrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

inline std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

inline const char* kind_of(mode_t mode) {
  return S_ISDIR(mode)                    ? "a directory"
         : S_ISFIFO(mode)                 ? "a FIFO"
         : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
                                          : "something else";
}

}  // namespace file_detail

// An open regular file; a FIFO, directory or device is refused without waiting on it. read_at is
// safe from many threads at once.
class File {
 public:
  explicit File(std::string path, const FileOps& ops = system_file_ops)
      : path_(std::move(path)), ops_(&ops) {
    if (path_.find('\0') != path_.npos) throw_io_error(path_, "a path without NUL bytes", EINVAL);
    fd_ = file_detail::retry_interrupted(
        [&] { return ops_->open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0); });
    if (fd_ == -1) throw_io_error(path_, "a readable file", errno);
    try {
      size_ = current_size();
    } catch (...) {
      ops_->close(fd_);
      throw;
    }
  }
  File(File&& other) noexcept
      : path_(std::move(other.path_)),
        ops_(other.ops_),
        fd_(std::exchange(other.fd_, -1)),
        size_(other.size_) {}
  File& operator=(File&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(ops_, other.ops_);
    std::swap(fd_, other.fd_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~File() {
    if (fd_ != -1) ops_->close(fd_);
  }

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // when it was opened
  int descriptor() const { return fd_; }

  // Asks the system again, for a file that may have been cut since.
  std::uint64_t current_size() const {
    struct stat status {};
    if (ops_->fstat(fd_, &status) == -1) throw_io_error(path_, "the size of the file", errno);
    if (!S_ISREG(status.st_mode))
      throw Error({.code = Errc::io_error,
                   .file = path_,
                   .field = {},
                   .expected = "a regular file",
                   .found = file_detail::kind_of(status.st_mode)});
    return static_cast<std::uint64_t>(status.st_size);
  }

  // Fills `destination` completely or throws.
  void read_at(std::uint64_t offset, std::span<std::byte> destination) const {
    while (!destination.empty()) {
      const std::size_t wanted = std::min(destination.size(), file_detail::most_bytes_per_call);
      const ssize_t count = file_detail::retry_interrupted(
          [&] { return ops_->pread(fd_, destination.data(), wanted, static_cast<off_t>(offset)); });
      if (count == -1) throw_io_error(path_, "to read at byte " + std::to_string(offset), errno);
      if (count == 0)
        throw Error({.code = Errc::io_error,
                     .file = path_,
                     .field = {},
                     .expected = std::to_string(destination.size()) + " more bytes at byte " +
                                 std::to_string(offset),
                     .found = "the end of the file (was it cut while open?)"});
      destination = destination.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }

  // Hints, whose failure changes nothing but time: the system starts to read a part that will be
  // wanted, or drops the pages that it keeps of one that will not be wanted again.
  void will_need(std::uint64_t offset, std::uint64_t bytes) const {
    advise(offset, bytes, POSIX_FADV_WILLNEED);
  }
  void drop_pages(std::uint64_t offset, std::uint64_t bytes) const {
    advise(offset, bytes, POSIX_FADV_DONTNEED);
  }

 private:
  void advise(std::uint64_t offset, std::uint64_t bytes, int advice) const {
    if (bytes > 0)  // 0 would mean: to the end of the file
      (void)ops_->fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), advice);
  }

  std::string path_;
  const FileOps* ops_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

// A read-only view of a whole file. If another process cuts the file while it is mapped, touching
// the lost pages kills this process with SIGBUS: the library installs no handler. Map only files
// that stay put.
class MappedFile {
 public:
  explicit MappedFile(const File& file, const FileOps& ops = system_file_ops)
      : size_(static_cast<std::size_t>(file.size())) {
    if (size_ == 0) return;
    void* const address = ops.mmap(size_, file.descriptor());
    if (address == MAP_FAILED) throw_io_error(file.path(), "to map the file", errno);
    address_ = address;
    try {
      if (const std::uint64_t now = file.current_size(); now != size_)
        throw Error({.code = Errc::io_error,
                     .file = file.path(),
                     .field = {},
                     .expected = std::to_string(size_) + " bytes, as when it was opened",
                     .found = std::to_string(now)});
    } catch (...) {
      ::munmap(address_, size_);
      throw;
    }
  }
  MappedFile(MappedFile&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (address_) ::munmap(address_, size_);
  }

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(address_), address_ ? size_ : 0};
  }

 private:
  void* address_ = nullptr;
  std::size_t size_;
};

inline std::string read_text(const std::string& path, std::uint64_t limit,
                             const FileOps& ops = system_file_ops) {
  const File file(path, ops);
  if (file.size() > limit)
    throw Error({.code = Errc::limit_exceeded,
                 .file = path,
                 .field = {},
                 .expected = "at most " + std::to_string(limit) + " bytes",
                 .found = std::to_string(file.size())});
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

// A file of known size that appears whole or not at all: written to a temporary name in the same
// directory, its space reserved first, then synced and renamed by commit(). Without commit() the
// temporary is removed and whatever was at `path` stays as it was. (When only the last step fails,
// syncing the directory, commit() throws although the new file is already in place, whole.)
class AtomicFile {
 public:
  AtomicFile(std::string path, std::uint64_t size, const FileOps& ops = system_file_ops)
      : path_(std::move(path)), ops_(&ops), size_(size) {
    static std::atomic<unsigned> counter{0};
    if (path_.empty() || path_.find('\0') != path_.npos)
      throw_io_error(path_, "a file name to write to", EINVAL);
    for (int attempt = 0; fd_ == -1; ++attempt) {
      temporary_ = path_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
      fd_ = file_detail::retry_interrupted([&] {
        return ops_->open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      });
      if (fd_ == -1 && (errno != EEXIST || attempt == 100))
        throw_io_error(path_, "to create a file beside it", errno);
    }
    try {
      reserve();
    } catch (...) {
      discard();
      throw;
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }

  std::uint64_t written() const { return written_; }

  // Appends.
  void write(std::span<const std::byte> bytes) {
    if (bytes.size() > size_ - written_)
      throw Error({.code = Errc::size_mismatch,
                   .file = path_,
                   .field = {},
                   .expected = std::to_string(size_) + " bytes to be written",
                   .found = "at least " + std::to_string(written_ + bytes.size())});
    while (!bytes.empty()) {
      const std::size_t wanted = std::min(bytes.size(), file_detail::most_bytes_per_call);
      const ssize_t count = file_detail::retry_interrupted(
          [&] { return ops_->pwrite(fd_, bytes.data(), wanted, static_cast<off_t>(written_)); });
      if (count <= 0)
        throw_io_error(path_, "to write at byte " + std::to_string(written_),
                       count == 0 ? ENOSPC : errno);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      written_ += static_cast<std::uint64_t>(count);
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  void commit() {
    if (written_ != size_)
      throw Error({.code = Errc::size_mismatch,
                   .file = path_,
                   .field = {},
                   .expected = std::to_string(size_) + " bytes to be written",
                   .found = std::to_string(written_)});
    if (file_detail::retry_interrupted([&] { return ops_->fsync(fd_); }) == -1)
      throw_io_error(path_, "to sync the file", errno);
    // After EINTR the descriptor is gone all the same.
    if (ops_->close(std::exchange(fd_, -1)) == -1 && errno != EINTR)
      throw_io_error(path_, "to close the file", errno);
    const int directory = file_detail::retry_interrupted([&] {
      return ops_->open(file_detail::directory_of(path_).c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    });
    if (directory == -1) throw_io_error(path_, "to open its directory", errno);
    int error = 0;
    if (ops_->rename(temporary_.c_str(), path_.c_str()) == -1) {
      error = errno;
    } else {
      temporary_.clear();
      if (file_detail::retry_interrupted([&] { return ops_->fsync(directory); }) == -1 &&
          errno != EINVAL)  // EINVAL: this file system cannot sync directories
        error = errno;
    }
    ops_->close(directory);
    if (error)
      throw_io_error(path_, temporary_.empty() ? "to sync its directory" : "to rename to it",
                     error);
  }

 private:
  // A full disk shows here, before hours of writing.
  void reserve() {
    if (size_ == 0) return;
    int error;
    do {
      error = ops_->fallocate(fd_, 0, static_cast<off_t>(size_));
    } while (error == EINTR);
    if (error && error != EOPNOTSUPP)
      throw_io_error(path_, std::to_string(size_) + " bytes of disk space", error);
  }
  void discard() noexcept {
    if (fd_ != -1) ops_->close(std::exchange(fd_, -1));
    if (!temporary_.empty()) ops_->unlink(temporary_.c_str());
    temporary_.clear();
  }

  std::string path_, temporary_;
  const FileOps* ops_;
  int fd_ = -1;
  std::uint64_t size_, written_ = 0;
};

// writer(AtomicFile&) must write exactly `size` bytes.
template <class Writer>
void write_atomically(const std::string& path, std::uint64_t size, Writer&& writer,
                      const FileOps& ops = system_file_ops) {
  AtomicFile file(path, size, ops);
  std::forward<Writer>(writer)(file);
  file.commit();
}

inline void write_text_atomically(const std::string& path, std::string_view text,
                                  const FileOps& ops = system_file_ops) {
  write_atomically(
      path, text.size(), [&](AtomicFile& file) { file.write(text); }, ops);
}

}  // namespace gov
