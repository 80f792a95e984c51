// Runs the tool as a program, and gives back its exit status and what it wrote.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/io/temp_folder.hpp"

namespace gov::test {

struct Outcome {
  int status = -1;  // 128 + n when signal n ended it
  std::string out, err;
};

class Program {
 public:
  Program(const std::string& path, const std::vector<std::string>& arguments) : path_(path) {
    std::vector<char*> list{const_cast<char*>(path.c_str())};
    for (const auto& argument : arguments) list.push_back(const_cast<char*>(argument.c_str()));
    list.push_back(nullptr);
    const std::string out = folder_ / "out", err = folder_ / "err";
    child_ = ::fork();
    if (child_ != 0) return;
    for (const auto& [name, fd] : {std::pair{out.c_str(), 1}, {err.c_str(), 2}})
      ::dup2(::open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600), fd);
    ::execv(path.c_str(), list.data());
    ::_exit(127);
  }
  std::string out() const { return file_bytes(folder_ / "out"); }
  // Has it set up a handler of its own? (Until it is itself, it has this program's.)
  bool catches(int number) const {
    const std::string process = "/proc/" + std::to_string(child_);
    std::error_code error;
    const auto running = std::filesystem::read_symlink(process + "/exe", error);
    if (error || running != std::filesystem::canonical(path_, error)) return false;
    const std::string status = file_bytes(process + "/status");
    const auto at = status.find("SigCgt:");
    return at != status.npos &&
           ((std::stoull(status.substr(at + 7), nullptr, 16) >> (number - 1)) & 1) != 0;
  }
  void signal(int number) const { ::kill(child_, number); }
  Outcome wait() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out(),
            file_bytes(folder_ / "err")};
  }

 private:
  std::string path_;
  TempFolder folder_;
  pid_t child_ = -1;
};

inline Outcome run_program(const std::string& path, const std::vector<std::string>& arguments) {
  return Program(path, arguments).wait();
}

}  // namespace gov::test
