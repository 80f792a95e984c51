// What the system leaves, from files as Linux writes them, in a folder that stands for the root.
#include "gov/model/system_memory.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/io/temp_folder.hpp"

namespace {

using namespace gov;
namespace fs = std::filesystem;

struct FakeRoot {
  TempFolder folder;
  FakeRoot() {
    write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:    4000 kB\n");
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder.path() / name).parent_path());
    folder.write(name, text);
  }
  std::optional<index_t> available() const { return available_memory(folder.path().string()); }
};

TEST_CASE("without control groups it is MemAvailable; without that nothing is known") {
  const FakeRoot root;
  CHECK(root.available() == 4'096'000);
  const TempFolder empty;
  CHECK(!available_memory(empty.path().string()).has_value());
  root.write("proc/meminfo", "MemAvailable: lots\n");
  CHECK(!root.available().has_value());
}

TEST_CASE("a v2 group: its limit less what it cannot drop, and the parents' limits") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  const std::string group = "sys/fs/cgroup/a/b/", parent = "sys/fs/cgroup/a/";
  root.write(group + "memory.max", "max\n");
  root.write(group + "memory.current", "100000\n");
  CHECK(root.available() == 4'096'000);
  root.write(group + "memory.max", "1000000\n");
  CHECK(root.available() == 900'000);
  root.write(group + "memory.stat", "anon 1\nfile 50000\ninactive_file 30000\nactive_file 20000\n");
  CHECK(root.available() == 950'000);
  root.write(parent + "memory.max", "500000\n");
  root.write(parent + "memory.current", "450000\n");
  CHECK(root.available() == 50'000);
  root.write(parent + "memory.current", "600000\n");  // above its limit for a moment
  CHECK(root.available() == 0);
}

TEST_CASE("a v1 group, whose unlimited is a huge number") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "7:cpu,cpuacct:/x\n4:memory:/job\n0::/\n");
  const std::string group = "sys/fs/cgroup/memory/job/";
  root.write(group + "memory.limit_in_bytes", "9223372036854771712\n");
  root.write(group + "memory.usage_in_bytes", "1000\n");
  CHECK(root.available() == 4'096'000);
  root.write(group + "memory.limit_in_bytes", "3000000\n");
  root.write(group + "memory.stat", "total_inactive_file 400\nactive_file 7\n");
  CHECK(root.available() == 2'999'400);
}

TEST_CASE("this machine says something sensible") {
  const auto available = available_memory();
  REQUIRE(available.has_value());
  CHECK(*available > 1'000'000);
  CHECK(*available < index_t{1} << 46);
}

}  // namespace
