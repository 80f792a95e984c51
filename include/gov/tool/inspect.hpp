// gov inspect: what a checkpoint folder or one safetensors file holds, whether a compiled type
// fits, how much memory it will take, and everything that is wrong with it.
#pragma once

#include <cstdio>
#include <iostream>
#include <map>

#include "gov/io/json_writer.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/memory_plan.hpp"
#include "gov/model/registry.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

struct Inspection {
  std::string path, kind, layout, fits;
  std::uint64_t tensors = 0, parameters = 0, bytes = 0;
  std::map<std::string, std::uint64_t> bytes_by_dtype;
  MemoryPlan plan;                    // as stored, with one session of up to 8,192 positions
  std::vector<MemoryChoice> choices;  // the same under every storage
  std::optional<index_t> available = available_memory();
  std::vector<ConfigEntry> config;
  std::vector<std::string> absent;  // tensors that the type adds, 0 when it is loaded
  std::vector<std::string> problems;
};

inline void inspect_tensors(const CheckpointFiles& files, Inspection& report) {
  for (const auto& tensor : files.tensors()) {
    ++report.tensors;
    report.parameters += static_cast<std::uint64_t>(tensor.entry->element_count());
    report.bytes += tensor.entry->bytes;
    report.bytes_by_dtype[std::string(to_string(tensor.entry->dtype))] += tensor.entry->bytes;
  }
}

template <class Cfg>
void inspect_model(const std::shared_ptr<const CheckpointFiles>& files, const std::string& folder,
                   Inspection& report) {
  report.fits = std::string(Cfg::name);
  report.parameters = static_cast<std::uint64_t>(parameter_count<Architecture<Cfg>>);
  typename Architecture<Cfg>::Params params;
  const Loader loader(files, parameter_list(params), naming_of<Cfg>(), {});
  report.layout = std::string(to_string(loader.layout()));
  report.absent = loader.absent();
  const index_t limit = describe(folder).language.max_position_embeddings();
  const SessionOptions session{.context = std::min<index_t>(limit, 8192)};
  report.plan = plan_memory<Cfg>(loader.block_bytes(), session);
  report.choices = memory_choices<Cfg>(files, session);
}

inline void print(const Inspection& report) {
  const auto mega = [](double bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f MB", bytes / 1e6);
    return std::string(text);
  };
  std::cout << report.path << ": " << report.kind << "\n";
  std::cout << "  tensors     " << report.tensors << ", " << mega(static_cast<double>(report.bytes))
            << " (";
  bool first = true;
  for (const auto& [dtype, bytes] : report.bytes_by_dtype) {
    std::cout << (first ? "" : ", ") << dtype << " " << mega(static_cast<double>(bytes));
    first = false;
  }
  std::cout << ")\n  parameters  " << report.parameters << "\n";
  if (!report.layout.empty()) std::cout << "  layout      " << report.layout << "\n";
  if (!report.fits.empty()) {
    std::cout << "  fits        " << report.fits << "\n";
    std::cout << "  memory      " << gigabytes(report.plan.weights) << " weights, "
              << gigabytes(report.plan.caches) << " caches of one session (up to 8,192 positions), "
              << gigabytes(report.plan.scratch) << " scratch; "
              << (report.available ? gigabytes(*report.available) : "unknown") << " available\n";
    for (const auto& choice : report.choices) {
      const bool fits = !report.available || choice.plan.total() <= *report.available;
      std::string name = choice.storage;
      name.resize(12, ' ');
      std::cout << "    " << name << gigabytes(choice.plan.total())
                << (fits ? "" : ", more than is available") << "\n";
    }
  }
  for (const auto& entry : report.config)
    std::cout << "  " << entry.key << " = " << entry.value << "\n";
  for (const auto& name : report.absent) std::cout << "  absent, so 0: " << name << "\n";
  for (const auto& problem : report.problems) std::cout << "  problem: " << problem << "\n";
}

inline void print_json(const Inspection& report) {
  JsonWriter out;
  out.begin_object()
      .field("path", report.path)
      .field("kind", report.kind)
      .field("layout", report.layout);
  out.field("fits", report.fits)
      .field("tensors", report.tensors)
      .field("parameters", report.parameters);
  out.field("bytes", report.bytes).key("bytes_by_dtype").begin_object();
  for (const auto& [dtype, bytes] : report.bytes_by_dtype) out.field(dtype, bytes);
  out.end_object()
      .field("weight_bytes", report.plan.weights)
      .field("cache_bytes", report.plan.caches)
      .field("scratch_bytes", report.plan.scratch)
      .field("memory_bytes", report.plan.total())
      .key("available_bytes");
  report.available ? out.value(*report.available) : out.value(nullptr);
  out.key("memory_by_storage").begin_object();
  for (const auto& choice : report.choices) {
    out.key(choice.storage).begin_object();
    out.field("weight_bytes", choice.plan.weights).field("memory_bytes", choice.plan.total());
    out.field("fits", !report.available || choice.plan.total() <= *report.available).end_object();
  }
  out.end_object();
  out.key("config").begin_object();
  for (const auto& entry : report.config)
    out.key(entry.key).value(parse_json(entry.value, "config"));
  out.end_object().field("absent", report.absent).field("problems", report.problems);
  std::cout << out.end_object().str() << "\n";
}

template <class... Models>
int inspect_command(const InspectArguments& arguments) {
  namespace fs = std::filesystem;
  Inspection report;
  report.path = arguments.path;
  const auto attempt = [&](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      report.problems.push_back(error.what());
    }
  };
  const bool folder = fs::is_directory(arguments.path);
  report.kind = folder ? "checkpoint folder" : "safetensors file";
  std::shared_ptr<const CheckpointFiles> files;
  attempt(
      [&] { files = std::make_shared<CheckpointFiles>(CheckpointFiles::open(arguments.path)); });
  if (files) inspect_tensors(*files, report);
  if (folder) {
    attempt([&] {
      const ModelDescription description = describe(arguments.path);
      report.config = description.language.visit([&](const auto& config) {
        return config_entries(config, description.composition ? "text_config." : "");
      });
      if (description.composition) {
        const auto add = [&](const auto& any, const std::string& prefix) {
          for (auto& entry : any.visit([&](const auto& c) { return config_entries(c, prefix); }))
            report.config.push_back(entry);
        };
        add(description.composition->vision, "vision_config.");
        add(description.composition->config, "");
      }
    });
    if (files && report.problems.empty())
      attempt([&] {
        auto_model<Models...>::visit(arguments.path, [&]<class Cfg>(std::type_identity<Cfg>) {
          inspect_model<Cfg>(files, arguments.path, report);
          return 0;
        });
      });
  }
  arguments.json ? print_json(report) : print(report);
  if (const auto count = report.problems.size(); count > 0) {
    std::cerr << "gov: error: " << arguments.path << ": expected no problem, found " << count
              << " problem" << (count == 1 ? "" : "s") << ", listed above\n";
    return 1;
  }
  return 0;
}

}  // namespace gov::tool
