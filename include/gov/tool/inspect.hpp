// gov inspect: what a checkpoint folder or one safetensors file holds, whether a compiled type
// fits, how much memory it will take, and everything that is wrong with it.
#pragma once

#include <cstdio>
#include <iostream>
#include <map>

#include "gov/io/json_writer.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/registry.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

struct Inspection {
  std::string path, kind, layout, fits;
  std::uint64_t tensors = 0, parameters = 0, bytes = 0;
  std::map<std::string, std::uint64_t> bytes_by_dtype;
  index_t weight_bytes = 0,
          cache_bytes = 0;  // in memory; the caches of one session of 8,192 positions
  std::vector<ConfigEntry> config;
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
  ModelData<Cfg> data;
  (void)folder;
  const Loader loader(files, parameter_list(data.params), GovModel<Cfg>::multimodal, {});
  report.layout = std::string(to_string(loader.layout()));
  report.weight_bytes = loader.block_bytes();
  constexpr auto& c = Architecture<Cfg>::language_config;
  const index_t context = std::min<index_t>(c.max_position_embeddings, 8192), chunk = 512;
  for (index_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const index_t window = c.window(layer);
    const index_t positions = window ? std::min(context, window - 1 + chunk) : context;
    report.cache_bytes +=
        2 * positions * c.num_key_value_heads * c.head_dim * static_cast<index_t>(sizeof(float));
  }
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
    std::cout << "  memory      " << mega(static_cast<double>(report.weight_bytes)) << " weights, "
              << mega(static_cast<double>(report.cache_bytes))
              << " caches of one session (up to 8,192 positions)\n";
  }
  for (const auto& entry : report.config)
    std::cout << "  " << entry.key << " = " << entry.value << "\n";
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
      .field("weight_bytes", report.weight_bytes)
      .field("cache_bytes", report.cache_bytes);
  out.key("config").begin_object();
  for (const auto& entry : report.config)
    out.key(entry.key).value(parse_json(entry.value, "config"));
  out.end_object().field("problems", report.problems);
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
      report.config =
          config_entries(description.language, description.composition ? "text_config." : "");
      if (description.composition) {
        for (auto& entry : config_entries(description.composition->vision, "vision_config."))
          report.config.push_back(entry);
        for (auto& entry : config_entries(description.composition->internvl))
          report.config.push_back(entry);
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
