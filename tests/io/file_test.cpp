#include "gov/io/file.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <vector>

#include "advice_ops.hpp"
#include "faulty_file_ops.hpp"
#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using gov::test::code_of;
using gov::test::error_of;

std::string text_at(const gov::File& file, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, '?');
  file.read_at(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace

TEST_CASE("a regular file is read at any place") {
  const TempFolder folder;
  const gov::File file(folder.write("a", "0123456789"));
  CHECK(file.size() == 10);
  CHECK(text_at(file, 0, 10) == "0123456789");
  CHECK(text_at(file, 7, 3) == "789");
  CHECK(text_at(file, 10, 0).empty());
  CHECK(code_of([&] { text_at(file, 7, 4); }) == "io_error");
  CHECK(code_of([&] { text_at(file, 1000, 1); }) == "io_error");
  gov::File moved(folder.write("b", "b"));
  moved = gov::File(folder / "a");
  CHECK(text_at(moved, 1, 1) == "1");
}

TEST_CASE("whatever is no regular file is refused, and never waited on") {
  const TempFolder folder;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  std::filesystem::create_symlink("loop", folder / "loop");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  using namespace std::string_literals;
  for (const std::string& path :
       {folder / "fifo", folder.path().string(), folder / "loop", folder / "dangling",
        folder / "absent", "/dev/zero"s, "/dev/null"s, ""s, folder / "a\0b"s,
        folder / std::string(5000, 'x')}) {
    CAPTURE(path);
    CHECK(code_of([&] { gov::File file(path); }) == "io_error");
    CHECK(code_of([&] { gov::read_text(path, 100); }) == "io_error");
  }
  const std::string locked = folder.write("locked", "x");
  ::chmod(locked.c_str(), 0);
  if (::geteuid() != 0) CHECK(code_of([&] { gov::File file(locked); }) == "io_error");
}

TEST_CASE("a file cut while it is open is an error, mapped or read") {
  const TempFolder folder;
  const std::string path = folder.write("a", std::string(10000, 'x'));
  const gov::File file(path);
  CHECK(gov::MappedFile(file).bytes().size() == 10000);
  std::filesystem::resize_file(path, 5000);
  CHECK(code_of([&] { text_at(file, 0, 10000); }) == "io_error");
  CHECK(file.size() == 10000);
  CHECK(file.current_size() == 5000);
  CHECK(code_of([&] { gov::MappedFile map(file); }) == "io_error");
}

TEST_CASE("a mapped file shows its bytes") {
  const TempFolder folder;
  const gov::File file(folder.write("a", "hello"));
  gov::MappedFile map(file);
  gov::MappedFile moved(std::move(map));
  CHECK(moved.bytes().size() == 5);
  CHECK(moved.bytes()[1] == std::byte{'e'});
  CHECK(gov::MappedFile(gov::File(folder.write("empty", ""))).bytes().empty());
}

TEST_CASE("read_text has a limit") {
  const TempFolder folder;
  const std::string path = folder.write("a", "12345");
  CHECK(gov::read_text(path, 5) == "12345");
  CHECK(code_of([&] { gov::read_text(path, 4); }) == "limit_exceeded");
}

TEST_CASE("an atomic file appears whole or not at all") {
  const TempFolder folder;
  const std::string path = folder.write("a", "old");
  gov::write_text_atomically(path, "new and longer");
  CHECK(file_bytes(path) == "new and longer");
  gov::write_text_atomically(folder / "empty", "");
  CHECK(file_bytes(folder / "empty").empty());
  CHECK(folder.file_count() == 2);

  struct Stop {};
  CHECK_THROWS_AS(gov::write_atomically(path, 10,
                                        [](gov::AtomicFile& file) {
                                          file.write("12345");
                                          throw Stop{};
                                        }),
                  Stop);
  CHECK(code_of([&] {
          gov::write_atomically(path, 10, [](auto& file) { file.write("12345"); });
        }) == "size_mismatch");
  CHECK(code_of([&] { gov::write_atomically(path, 3, [](auto& file) { file.write("12345"); }); }) ==
        "size_mismatch");
  CHECK(file_bytes(path) == "new and longer");
  CHECK(code_of([&] { gov::write_text_atomically(folder / "absent/a", "x"); }) == "io_error");
  CHECK(code_of([&] { gov::write_text_atomically(folder.path(), "x"); }) == "io_error");
  CHECK(code_of([&] { gov::write_text_atomically("", "x"); }) == "io_error");
  CHECK(code_of([&] { gov::write_text_atomically(folder / "a/b", "x"); }) == "io_error");
  CHECK(folder.file_count() == 2);
}

TEST_CASE("a file larger than the process may write leaves the old one") {
  const TempFolder folder;
  const std::string path = folder.write("a", "old");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string code =
      code_of([&] { gov::write_text_atomically(path, std::string(100000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(code == "io_error");
  CHECK(file_bytes(path) == "old");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("every system call of a save may fail: old or new content, no leftovers, no open file") {
  for (const int code : {ENOSPC, EIO, EACCES})
    for (const bool for_ever : {false, true}) {
      int k = 1;
      for (bool done = false; !done; ++k) {
        REQUIRE(k < 100);
        const TempFolder folder;
        const std::string path = folder.write("a", "old");
        Faults::set(Faults::Kind::error, code, k, for_ever);
        const auto error = error_of([&] {
          gov::write_atomically(
              path, 6,
              [](auto& file) {
                file.write("new");
                file.write("er.");
              },
              faulty_file_ops);
        });
        CAPTURE(k);
        done = !error && Faults::calls < k;
        if (error) {
          CHECK(error->code() == gov::Errc::io_error);
          CHECK(error->file() == path);
          // only a failure behind the rename, when syncing the directory, leaves the new file
          CHECK(file_bytes(path) ==
                (error->expected() == "to sync its directory" ? "newer." : "old"));
        } else {
          CHECK(file_bytes(path) == "newer.");
        }
        CHECK(folder.file_count() == 1);
        CHECK(Faults::open_files == 0);
      }
      CHECK(k > 9);  // open, fallocate, 2 writes, fsync, close, open, rename, fsync, close
    }
}

TEST_CASE("every call may be interrupted or transfer less: the save succeeds") {
  for (const auto kind : {Faults::Kind::interrupted, Faults::Kind::short_count})
    for (int k = 1; k < 14; ++k) {
      const TempFolder folder;
      const std::string path = folder.write("a", "old");
      Faults::set(kind, 0, k, false);
      gov::write_text_atomically(path, "new and newer", faulty_file_ops);
      CHECK(file_bytes(path) == "new and newer");
      CHECK(folder.file_count() == 1);
      CHECK(Faults::open_files == 0);
    }
  const TempFolder folder;
  Faults::set(Faults::Kind::short_count, 0, 1, true);
  gov::write_text_atomically(folder / "a", "halves and halves of what is left", faulty_file_ops);
  CHECK(gov::read_text(folder / "a", 100, faulty_file_ops) == "halves and halves of what is left");
}

TEST_CASE("every system call of a read may fail") {
  const TempFolder folder;
  const std::string path = folder.write("a", "0123456789");
  for (const bool for_ever : {false, true})
    for (int k = 1;; ++k) {
      Faults::set(Faults::Kind::error, EIO, k, for_ever);
      std::string text;
      std::size_t mapped = 0;
      const auto error = error_of([&] {
        const gov::File file(path, faulty_file_ops);
        text = text_at(file, 0, 10);
        mapped = gov::MappedFile(file, faulty_file_ops).bytes().size();
      });
      CHECK(Faults::open_files == 0);
      if (error) CHECK(error->code() == gov::Errc::io_error);
      if (!error) {
        CHECK(text == "0123456789");
        CHECK(mapped == 10);
        CHECK(k >
              5);  // open, fstat, pread, mmap, fstat; a failing close of what was read is no matter
        break;
      }
      REQUIRE(k < 20);
    }
  for (const auto kind : {Faults::Kind::interrupted, Faults::Kind::short_count})
    for (int k = 1; k < 8; ++k) {
      Faults::set(kind, 0, k, false);
      CHECK(gov::read_text(path, 100, faulty_file_ops) == "0123456789");
    }
}

TEST_CASE("hints reach the system, and their failure is no matter") {
  const TempFolder folder;
  const std::string path = folder.write("a", "0123456789");
  {
    const gov::File file(path, advice_ops);
    given_advice.clear();
    file.will_need(2, 3);
    file.drop_pages(4, 6);
    file.drop_pages(4, 0);  // 0 would mean the rest of the file
    CHECK(given_advice ==
          std::vector<Advice>{{POSIX_FADV_WILLNEED, 2, 3}, {POSIX_FADV_DONTNEED, 4, 6}});
  }
  Faults::set(Faults::Kind::error, EBADF, 0, false);
  const gov::File file(path, faulty_file_ops);
  Faults::set(Faults::Kind::error, EBADF, 1, true);
  file.will_need(0, 10);
  file.drop_pages(0, 10);
  Faults::set(Faults::Kind::error, 0, 0, false);
  CHECK(text_at(file, 0, 10) == "0123456789");
}
