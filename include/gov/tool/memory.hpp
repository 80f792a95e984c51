// Memory around a command: a refusal before a checkpoint is loaded that this machine has no room
// for, and the peak of what was in use.
#pragma once

#include <sys/resource.h>

#include <fstream>

#include "gov/model/gov_model.hpp"
#include "gov/model/memory_plan.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

// Peak of the memory in use since the program began, or since forget_peak().
inline std::int64_t peak_rss_bytes() {
  if (const auto kilobytes =
          memory_detail::number_of(memory_detail::text_of("/proc/self/status"), "VmHWM:"))
    return *kilobytes * 1024;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

template <class Cfg>
StoragePolicy storage_of(const RunArguments& arguments) {
  if (!arguments.storage.empty()) return parse_storage(arguments.storage);
  if constexpr (requires { Cfg::storage; }) return parse_storage(Cfg::storage);
  return {};
}

// Refuses a checkpoint that this machine is too small for, before a byte of it is loaded.
template <class Cfg>
void require_room(const RunArguments& arguments, index_t sessions = 1) {
  const auto available = available_memory();
  if (!available) return;
  CheckpointOptions checkpoint;
  checkpoint.map = arguments.map;
  const auto files =
      std::make_shared<CheckpointFiles>(CheckpointFiles::open(arguments.model, checkpoint));
  typename Architecture<Cfg>::Params params;
  LoadOptions load;
  load.map = arguments.map;
  load.storage = storage_of<Cfg>(arguments);
  const Loader loader(files, parameter_list(params), naming_of<Cfg>(), load);
  SessionOptions session = arguments.session_options();
  if (session.context <= 0)
    session.context =
        std::min<index_t>(describe(arguments.model).language.max_position_embeddings(), 8192);
  check_memory<Cfg>(files, loader, session, available, sessions, team_size(arguments.threads));
}

}  // namespace gov::tool
