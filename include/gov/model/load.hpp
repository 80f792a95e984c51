// Loading a checkpoint's tensors into a model's parameters: any layout of name_map.hpp, dense or
// packed, converted to a StoragePolicy on the way. Every missing, unexpected or ill-shaped tensor
// is reported at once, before a byte is loaded. Weights lie in one block, or stay in the mapped
// files where these hold them as they are needed.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>

#include "gov/core/arena.hpp"
#include "gov/core/parallel.hpp"
#include "gov/io/name_map.hpp"
#include "gov/io/sharded.hpp"
#include "gov/kernel/backend.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/model/storage_policy.hpp"

namespace gov {

// Called with the share of a long step that is done, from one thread at a time.
using Progress = std::function<void(std::string_view step, double share)>;

struct LoadOptions {
  std::optional<StoragePolicy> storage{};  // default: what the Cfg says, else as stored
  bool map = false;  // view the files in place; a file cut by another process then kills this one
  bool check_finite = false;  // refuse NaN and infinity in weights
  Progress progress{};
  std::stop_token stop{};
};

// Where the parameters lie after loading.
struct LoadedWeights {
  AlignedBuffer block;
  std::vector<std::shared_ptr<const void>> maps;
  Layout layout{};
};

class Loader {
 public:
  Loader(std::shared_ptr<const CheckpointFiles> files, std::vector<ParameterRef> parameters,
         bool multimodal, LoadOptions options)
      : files_(std::move(files)), parameters_(std::move(parameters)), options_(std::move(options)) {
    layout_ =
        detect_layout([this](std::string_view name) { return files_->contains(name); }, multimodal);
    Problems problems(files_->path());
    std::map<std::string, index_t> fused;  // rows of a fused tensor that are taken
    for (const auto& parameter : parameters_) plan(parameter, multimodal, fused, problems);
    for (auto& item : items_)
      if (item.spelled.parts > 1 && item.spelled.part == 0) check_fused(item, fused, problems);
    for (const auto& tensor : files_->tensors())
      if (!used_.contains(tensor.entry->name) && !is_leftover(tensor.entry->name))
        problems.add({Errc::checkpoint_mismatch, tensor.file->path(), tensor.entry->name,
                      "no such tensor in this model", "it is there"});
    problems.throw_if_any("the tensors of this model, each in its shape");
  }

  // Bytes that the weights will take in memory, without those that stay in mapped files.
  index_t block_bytes() const {
    index_t bytes = 0;
    for (const auto& item : items_) bytes += item.owned_bytes;
    return bytes;
  }
  Layout layout() const { return layout_; }
  // After load(): what each conversion to another format lost, by our names.
  const std::map<std::string, kernel::QuantizeError>& conversion_errors() const { return errors_; }

  LoadedWeights load(ThreadPool& pool) {
    LoadedWeights weights{AlignedBuffer(block_bytes()), {}, layout_};
    index_t offset = 0;
    std::vector<Task> tasks;
    for (auto& item : items_) {
      if (item.viewed) {
        view(item);
        if (item.stored == Format::mxfp4) cut(item, tasks);  // to look at its scales
      } else {
        item.data = weights.block.data() + offset;
        item.scales = item.data + round_up(item.parameter->data_bytes(item.held), cache_line);
        offset += item.owned_bytes;
        cut(item, tasks);
      }
    }
    run(pool, tasks);
    for (const auto& item : items_)
      *item.parameter->storage = {item.held, item.stored_as, item.data,
                                  is_blocked(item.held) ? item.scales : nullptr};
    if (options_.map) weights.maps.push_back(files_);
    return weights;
  }

 private:
  struct Item {
    const ParameterRef* parameter;
    SpelledName spelled;
    const CheckpointFiles::Tensor *tensor = nullptr, *scales_tensor = nullptr;
    Format stored = Format::f32, held = Format::f32;
    DType stored_as = DType::F32;
    index_t first_row = 0;  // within a fused tensor
    bool transposed = false, viewed = false;
    index_t owned_bytes = 0;
    std::byte *data = nullptr, *scales = nullptr;
  };
  // Rows [first, last) of all experts' rows, or whole experts where they are transposed.
  struct Task {
    const Item* item;
    index_t first, last;
  };

  static std::string shape_text(const std::vector<index_t>& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
      text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
  }

  const CheckpointFiles::Tensor* find(const std::string& name) {
    const auto* tensor = files_->find(name);
    // A checkpoint of the base class has no "model." before its names.
    constexpr std::string_view prefix = "model.";
    if (!tensor && std::string_view(name).starts_with(prefix))
      tensor = files_->find(name.substr(prefix.size()));
    if (tensor) used_.insert(tensor->entry->name);
    return tensor;
  }

  void plan(const ParameterRef& p, bool multimodal, std::map<std::string, index_t>& fused,
            Problems& problems) {
    Item item{&p, spell(layout_, p.name, multimodal)};
    const bool told =
        item.spelled.part > 0;  // what is wrong with a fused tensor is said with its first part
    const auto wrong = [&](const CheckpointFiles::Tensor& tensor, std::string expected,
                           std::string found) {
      if (told) return;
      problems.add({Errc::checkpoint_mismatch, tensor.file->path(), tensor.entry->name,
                    std::move(expected), std::move(found)});
    };
    if (p.is_matrix) item.tensor = find(item.spelled.name + std::string(item.spelled.blocks));
    if (item.tensor) {
      const std::string scales_name = item.spelled.name + std::string(item.spelled.scales);
      item.scales_tensor = find(scales_name);
      if (!item.scales_tensor) {
        problems.add({Errc::checkpoint_mismatch, files_->path(), scales_name,
                      "the scales of its blocks", "nothing"});
        return;
      }
      const bool q8 = item.tensor->entry->shape.size() == p.shape.size();
      item.stored = q8 ? Format::q8 : Format::mxfp4;
      std::vector<index_t> blocks{p.out, p.in / block_size, 16}, scales{p.out, p.in / block_size};
      if (q8) blocks = {p.out, p.in};
      if (p.is_expert)
        blocks.insert(blocks.begin(), p.experts), scales.insert(scales.begin(), p.experts);
      if (p.in % block_size != 0 || item.tensor->entry->shape != blocks ||
          item.tensor->entry->dtype != DType::U8)
        return wrong(*item.tensor, "U8 " + shape_text(blocks), describe(*item.tensor));
      if (item.scales_tensor->entry->shape != scales ||
          item.scales_tensor->entry->dtype != (q8 ? DType::BF16 : DType::U8))
        return wrong(*item.scales_tensor, std::string(q8 ? "BF16 " : "U8 ") + shape_text(scales),
                     describe(*item.scales_tensor));
      item.stored_as = DType::U8;
    } else {
      item.tensor = find(item.spelled.name);
      if (!item.tensor) {
        if (!told)
          problems.add({Errc::checkpoint_mismatch, files_->path(), item.spelled.name,
                        "a tensor" + (item.spelled.parts > 1 ? "" : " " + shape_text(p.shape)),
                        "nothing"});
        return;
      }
      const TensorEntry& entry = *item.tensor->entry;
      item.stored_as = entry.dtype;
      switch (entry.dtype) {
        case DType::F32: item.stored = Format::f32; break;
        case DType::BF16: item.stored = Format::bf16; break;
        case DType::F16: item.stored = Format::f16; break;
        default: return wrong(*item.tensor, "F32, BF16 or F16", describe(*item.tensor));
      }
      item.transposed = p.is_expert && item.spelled.experts_transposed;
      std::vector<index_t> shape = p.shape;
      if (p.is_expert && !item.transposed) shape = {p.experts, p.out, p.in};
      if (item.spelled.parts > 1) {
        index_t& rows = fused[item.spelled.name];
        item.first_row = rows;
        rows += p.is_matrix ? p.out : p.in;
      } else if (entry.shape != shape) {
        return wrong(*item.tensor, shape_text(shape), shape_text(entry.shape));
      }
    }
    item.held = p.is_matrix ? held_format(options_.storage.value_or(StoragePolicy{}), item.stored,
                                          p.name, p.is_expert, p.in)
                            : Format::f32;
    if (options_.map && item.transposed && item.held == item.stored)
      return wrong(*item.tensor,
                   "experts that lie [experts, out, in], to be mapped (load without map, or from "
                   "gov quantize)",
                   "experts that lie [experts, in, out], as transformers writes dense ones");
    item.viewed = options_.map && item.held == item.stored && aligned(item);
    if (!item.viewed)
      item.owned_bytes = round_up(p.data_bytes(item.held), cache_line) +
                         round_up(p.scales_bytes(item.held), cache_line);
    items_.push_back(item);
  }

  static std::string describe(const CheckpointFiles::Tensor& tensor) {
    return std::string(to_string(tensor.entry->dtype)) + " " + shape_text(tensor.entry->shape);
  }

  // A fused tensor holds exactly its parts' rows, as wide as they are.
  void check_fused(const Item& item, const std::map<std::string, index_t>& fused,
                   Problems& problems) const {
    std::vector<index_t> shape{fused.at(item.spelled.name)};
    if (item.parameter->is_matrix) shape.push_back(item.parameter->in);
    if (item.tensor->entry->shape != shape)
      problems.add({Errc::checkpoint_mismatch, item.tensor->file->path(), item.spelled.name,
                    shape_text(shape), shape_text(item.tensor->entry->shape)});
  }

  static bool aligned(const Item& item) {
    const auto address =
        reinterpret_cast<std::uintptr_t>(item.tensor->file->view(*item.tensor->entry).data());
    return address %
               static_cast<std::uintptr_t>(std::max<index_t>(1, row_bytes(item.stored, 2) / 2)) ==
           0;
  }

  static void view(Item& item) {
    const auto at = [](const CheckpointFiles::Tensor& tensor) {
      return const_cast<std::byte*>(tensor.file->view(*tensor.entry).data());  // never written to
    };
    item.data =
        at(*item.tensor) +
        item.first_row * row_bytes(item.stored, item.parameter->is_matrix ? item.parameter->in : 1);
    if (item.scales_tensor) item.scales = at(*item.scales_tensor);
  }

  static void cut(const Item& item, std::vector<Task>& tasks) {
    const ParameterRef& p = *item.parameter;
    if (item.transposed) {
      for (index_t e = 0; e < p.experts; ++e) tasks.push_back({&item, e, e + 1});
      return;
    }
    constexpr index_t piece = index_t{4} << 20;
    const index_t rows = p.experts * p.out,
                  step = std::max<index_t>(1, piece / std::max<index_t>(1, p.in * 4));
    for (index_t first = 0; first < rows; first += step)
      tasks.push_back({&item, first, std::min(rows, first + step)});
  }

  void run(ThreadPool& pool, const std::vector<Task>& tasks) const {
    std::mutex reporting;
    index_t done = 0;
    const auto count = static_cast<index_t>(tasks.size());
    pool.parallel_for(count, [&](index_t i) {
      if (options_.stop.stop_requested())
        throw Error({.code = Errc::cancelled,
                     .file = files_->path(),
                     .field = "loading",
                     .expected = "to run to its end",
                     .found = "a request to stop"});
      const Task& task = tasks[static_cast<std::size_t>(i)];
      const Item& item = *task.item;
      const index_t fine = scale_bytes(item.stored, item.parameter->in);
      if (item.viewed)
        refuse_bad_scales(item, item.scales + task.first * fine, (task.last - task.first) * fine);
      else if (item.transposed)
        load_transposed(item, task.first);
      else
        load_rows(item, task.first, task.last);
      const std::lock_guard<std::mutex> lock(reporting);  // so that shares only rise
      ++done;
      if (options_.progress && (done % 16 == 0 || done == count))
        options_.progress("loading", static_cast<double>(done) / static_cast<double>(count));
    });
  }

  static void read(const CheckpointFiles::Tensor& tensor, index_t offset, std::span<std::byte> to) {
    tensor.file->read_part(*tensor.entry, static_cast<std::uint64_t>(offset), to);
  }

  void refuse_bad_scales(const Item& item, const std::byte* scales, index_t count) const {
    if (item.stored != Format::mxfp4) return;
    for (index_t i = 0; i < count; ++i)
      if (scales[i] == std::byte{255})
        throw Error({.code = Errc::not_finite,
                     .file = item.tensor->file->path(),
                     .field = item.scales_tensor->entry->name,
                     .expected = "E8M0 scales below 255",
                     .found = "255, which is NaN"});
  }

  void load_rows(const Item& item, index_t first, index_t last) const {
    const ParameterRef& p = *item.parameter;
    const index_t rows = last - first, width = row_bytes(item.stored, p.in),
                  fine = scale_bytes(item.stored, p.in);
    const index_t skip =
        item.first_row * (p.is_matrix ? width : row_bytes(item.stored, 1)) + first * width;
    const auto span = [](std::byte* data, index_t bytes) {
      return std::span<std::byte>(data, static_cast<std::size_t>(bytes));
    };
    std::byte* const to = item.data + first * row_bytes(item.held, p.in);
    std::byte* const to_scales = item.scales + first * scale_bytes(item.held, p.in);
    if (item.held == item.stored) {
      read(*item.tensor, skip, span(to, rows * width));
      if (fine > 0) {
        read(*item.scales_tensor, first * fine, span(to_scales, rows * fine));
        refuse_bad_scales(item, to_scales, rows * fine);
      }
      return;
    }
    std::vector<std::byte> raw(static_cast<std::size_t>(rows * width)),
        raw_scales(static_cast<std::size_t>(rows * fine));
    read(*item.tensor, skip, raw);
    if (fine > 0) {
      read(*item.scales_tensor, first * fine, raw_scales);
      refuse_bad_scales(item, raw_scales.data(), rows * fine);
    }
    const WeightView from{item.stored, raw.data(), raw_scales.data(), rows, p.in};
    std::vector<float> wide(static_cast<std::size_t>(p.in));
    kernel::QuantizeError error;
    for (index_t row = 0; row < rows; ++row) {
      kernel::widen_row(kernel::scalar{}, from, row, wide.data());
      error +=
          kernel::quantize_row(item.held, wide.data(), p.in, to + row * row_bytes(item.held, p.in),
                               to_scales + row * scale_bytes(item.held, p.in));
    }
    note(p.name, error);
  }

  void note(const std::string& name, const kernel::QuantizeError& error) const {
    const std::lock_guard<std::mutex> lock(noting_);
    errors_[name] += error;
  }

  // One expert's [in, out] becomes [out, in].
  void load_transposed(const Item& item, index_t expert) const {
    const ParameterRef& p = *item.parameter;
    const index_t element = row_bytes(item.stored, 2) / 2, bytes = p.in * p.out * element;
    std::vector<std::byte> raw(static_cast<std::size_t>(bytes)),
        turned(static_cast<std::size_t>(bytes));
    read(*item.tensor, expert * bytes, raw);
    transpose(raw.data(), p.in, p.out, element, turned.data());
    std::byte* const to = item.data + expert * p.out * row_bytes(item.held, p.in);
    if (item.held == item.stored) {
      std::memcpy(to, turned.data(), turned.size());
      return;
    }
    std::byte* const to_scales = item.scales + expert * p.out * scale_bytes(item.held, p.in);
    const WeightView from{item.stored, turned.data(), nullptr, p.out, p.in};
    std::vector<float> wide(static_cast<std::size_t>(p.in));
    kernel::QuantizeError error;
    for (index_t row = 0; row < p.out; ++row) {
      kernel::widen_row(kernel::scalar{}, from, row, wide.data());
      error +=
          kernel::quantize_row(item.held, wide.data(), p.in, to + row * row_bytes(item.held, p.in),
                               to_scales + row * scale_bytes(item.held, p.in));
    }
    note(p.name, error);
  }

 public:
  // [rows, columns] -> [columns, rows], elements of 2 or 4 bytes, in tiles that fit the cache.
  static void transpose(const std::byte* from, index_t rows, index_t columns, index_t element,
                        std::byte* to) {
    constexpr index_t tile = 32;
    for (index_t r0 = 0; r0 < rows; r0 += tile)
      for (index_t c0 = 0; c0 < columns; c0 += tile)
        for (index_t r = r0; r < std::min(rows, r0 + tile); ++r)
          for (index_t c = c0; c < std::min(columns, c0 + tile); ++c)
            std::memcpy(to + (c * rows + r) * element, from + (r * columns + c) * element,
                        static_cast<std::size_t>(element));
  }

 private:
  std::shared_ptr<const CheckpointFiles> files_;
  std::vector<ParameterRef> parameters_;
  LoadOptions options_;
  Layout layout_{};
  std::vector<Item> items_;
  std::set<std::string> used_;
  mutable std::mutex noting_;
  mutable std::map<std::string, kernel::QuantizeError>
      errors_;  // of parameters that were converted
};

}  // namespace gov
