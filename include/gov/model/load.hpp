// Loading a checkpoint's tensors into a model's parameters: any layout of name_map.hpp, dense or
// packed, converted to a StoragePolicy on the way. Every missing, unexpected or ill-shaped tensor
// is reported at once, before a byte is loaded. Weights lie in one block, or stay in the mapped
// files where these hold them as they are needed.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>

#include "gov/core/arena.hpp"
#include "gov/core/parallel.hpp"
#include "gov/io/name_map.hpp"
#include "gov/io/sharded.hpp"
#include "gov/kernel/backend.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/architecture.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/model/storage_policy.hpp"
#include "gov/model/system_memory.hpp"
#include "gov/model/transpose.hpp"

namespace gov {

// Called with the share of a long step that is done, from one thread at a time.
using Progress = std::function<void(std::string_view step, double share)>;

struct LoadOptions {
  std::optional<StoragePolicy> storage{};  // default: what the Cfg says, else as stored
  bool map = false;  // view the files in place; a file cut by another process then kills this one
  bool check_finite = false;  // refuse NaN and infinity in weights
  // Drop the files' pages from the system's cache as they are copied; default: when the machine has
  // no room for them beside the copy.
  std::optional<bool> drop_pages{};
  Progress progress{};
  std::stop_token stop{};
};

// Where the parameters lie after loading.
struct LoadedWeights {
  AlignedBuffer block;
  std::vector<std::shared_ptr<const void>> maps;
  Layout layout{};
  // What each conversion to another format lost, by our names.
  std::map<std::string, kernel::QuantizeError> conversion_errors{};
};

class Loader {
 public:
  Loader(std::shared_ptr<const CheckpointFiles> files, std::vector<ParameterRef> parameters,
         Naming naming, LoadOptions options)
      : files_(std::move(files)), parameters_(std::move(parameters)), options_(std::move(options)) {
    for (const auto& tensor : files_->tensors()) naming.look_at(tensor.entry->name);
    layout_ =
        detect_layout([this](std::string_view name) { return files_->contains(name); }, naming);
    Problems problems(files_->path());
    std::map<std::string, FusedRows> fused;
    for (const auto& parameter : parameters_) plan(parameter, naming, fused, problems);
    for (auto& item : items_)
      if (item.spelled.is_fused() && item.spelled.is_first()) check_fused(item, fused, problems);
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
    for (const auto* absent : absent_) bytes += zero_bytes(*absent);
    return bytes;
  }
  Layout layout() const { return layout_; }
  const std::map<std::string, kernel::QuantizeError>& conversion_errors() const { return errors_; }
  const std::vector<std::string>& absent() const { return absent_names_; }

  LoadedWeights load(ThreadPool& pool) {
    LoadedWeights weights{AlignedBuffer(block_bytes()), {}, layout_, {}};
    // The block is laid out as the files are, so that both are walked from front to back.
    std::vector<Item*> order;
    for (auto& item : items_) order.push_back(&item);
    std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
      if (a->tensor->file != b->tensor->file)
        return a->tensor->file->path() < b->tensor->file->path();
      return std::pair(a->tensor->entry->offset, a->first_row) <
             std::pair(b->tensor->entry->offset, b->first_row);
    });
    index_t offset = 0;
    std::vector<Task> tasks;
    for (Item* const item : order) {
      if (item->viewed) {
        view(*item);
      } else {
        item->data = weights.block.data() + offset;
        item->scales = item->data + round_up(item->parameter->data_bytes(item->held), cache_line);
        offset += item->owned_bytes;
      }
      cut(*item, tasks);
    }
    run(pool, tasks);
    for (const Task& task : tasks)
      if (task.kind == Kind::rows || task.kind == Kind::turned)
        if (task.item->held != task.item->stored)
          weights.conversion_errors[task.item->parameter->name] += task.error;
    errors_ = weights.conversion_errors;
    for (const auto& item : items_)
      *item.parameter->storage = {item.held, item.stored_as, item.data,
                                  is_blocked(item.held) ? item.scales : nullptr};
    for (const auto* absent : absent_) {
      *absent->storage = {Format::f32, DType::F32, weights.block.data() + offset, nullptr};
      std::memset(absent->storage->data, 0, static_cast<std::size_t>(zero_bytes(*absent)));
      offset += zero_bytes(*absent);
    }
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
  // A piece of an item. bytes and scales: bytes [first, last) of what is copied as it is; look:
  // of scales that are viewed; rows: rows of all experts that are converted; turned: rows of the
  // file's [experts * in, out], within one expert.
  enum class Kind { bytes, scales, look, rows, turned };
  struct Task {
    const Item* item;
    Kind kind;
    index_t first, last;
    kernel::QuantizeError error{};
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
    for (const std::string_view prefix : {"model.", "transformer."})
      if (!tensor && std::string_view(name).starts_with(prefix))
        tensor = files_->find(name.substr(prefix.size()));
    if (tensor) used_.insert(tensor->entry->name);
    return tensor;
  }

  void plan(const ParameterRef& p, const Naming& naming, std::map<std::string, FusedRows>& fused,
            Problems& problems) {
    Item item{&p, spell(layout_, p.name, naming)};
    const bool told =
        !item.spelled.is_first();  // what is wrong with a fused tensor is said with its first part
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
      if (p.is_stack())
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
      if (!item.tensor && p.is_optional)
        return absent_.push_back(&p), absent_names_.push_back(item.spelled.name);
      if (!item.tensor) {
        if (!told)
          problems.add({Errc::checkpoint_mismatch, files_->path(), item.spelled.name,
                        "a tensor" + (item.spelled.is_fused() ? "" : " " + shape_text(p.shape)),
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
      item.transposed = p.is_turned || (p.is_stack() && item.spelled.experts_transposed);
      std::vector<index_t> shape = p.shape;
      if (p.is_stack() && !item.transposed) shape = {p.experts, p.out, p.in};
      if (item.spelled.is_fused()) {
        item.first_row = fused[item.spelled.name].take(item.spelled, p.is_matrix ? p.out : p.in);
      } else if (entry.shape != shape) {
        return wrong(*item.tensor, shape_text(shape), shape_text(entry.shape));
      }
    }
    item.held = p.is_matrix ? held_format(options_.storage.value_or(StoragePolicy{}), item.stored,
                                          p.name, p.is_expert, p.in)
                            : Format::f32;
    if (options_.map && item.transposed && item.held == item.stored)
      return wrong(*item.tensor,
                   "weights that lie [..., out, in], to be mapped (load without map, or from gov "
                   "quantize)",
                   "[experts, in, out] or [in, out], as transformers writes dense experts and "
                   "GPT-2's weights");
    item.viewed = options_.map && item.held == item.stored && aligned(item);
    if (!item.viewed)
      item.owned_bytes = round_up(p.data_bytes(item.held), cache_line) +
                         round_up(p.scales_bytes(item.held), cache_line);
    items_.push_back(item);
  }

  static index_t zero_bytes(const ParameterRef& p) {
    return round_up(p.data_bytes(Format::f32), cache_line);
  }

  static std::string describe(const CheckpointFiles::Tensor& tensor) {
    return std::string(to_string(tensor.entry->dtype)) + " " + shape_text(tensor.entry->shape);
  }

  // A fused tensor holds exactly its parts' rows, as wide as they are.
  void check_fused(const Item& item, const std::map<std::string, FusedRows>& fused,
                   Problems& problems) const {
    std::vector<index_t> shape = fused.at(item.spelled.name).shape();
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
    const index_t rows = p.experts * p.out;
    if (item.transposed) {
      const index_t step =
          round_up(std::max<index_t>(1, piece / (p.out * row_bytes(item.stored, 2) / 2)), strip);
      for (index_t e = 0; e < p.experts; ++e)
        for (index_t first = 0; first < p.in; first += step)
          tasks.push_back(
              {&item, Kind::turned, e * p.in + first, e * p.in + std::min(p.in, first + step)});
    } else if (!item.viewed && item.held != item.stored) {
      const index_t step = std::max<index_t>(1, piece / std::max<index_t>(1, p.in * 4));
      for (index_t first = 0; first < rows; first += step)
        tasks.push_back({&item, Kind::rows, first, std::min(rows, first + step)});
    } else {
      const index_t fine = rows * scale_bytes(item.stored, p.in);
      if (!item.viewed) cut_bytes(item, Kind::bytes, item.data, p.data_bytes(item.held), tasks);
      if (!item.viewed || item.stored == Format::mxfp4)
        cut_bytes(item, item.viewed ? Kind::look : Kind::scales, item.scales, fine, tasks);
    }
  }

  // In pieces that begin where huge pages do, so that each page is first touched by one thread.
  static void cut_bytes(const Item& item, Kind kind, const std::byte* data, index_t bytes,
                        std::vector<Task>& tasks) {
    const auto address = static_cast<index_t>(reinterpret_cast<std::uintptr_t>(data) %
                                              static_cast<std::uintptr_t>(piece));
    for (index_t first = 0, last; first < bytes; first = last) {
      last = std::min(bytes, (address + first) / piece * piece + piece - address);
      tasks.push_back({&item, kind, first, last});
    }
  }

  // The part of the file that a task reads.
  struct Source {
    const CheckpointFiles::Tensor* tensor = nullptr;
    index_t offset = 0, bytes = 0;

    void will_need() const {
      if (tensor) tensor->file->will_need(*tensor->entry, place(offset), place(bytes));
    }
    void read(std::byte* to) const {
      tensor->file->read_part(*tensor->entry, place(offset),
                              std::span(to, static_cast<std::size_t>(bytes)));
    }
    void drop() const {
      if (tensor) tensor->file->drop_pages(*tensor->entry, place(offset), place(bytes));
    }
    static std::uint64_t place(index_t value) { return static_cast<std::uint64_t>(value); }
  };

  static Source source(const Task& task) {
    const Item& item = *task.item;
    const ParameterRef& p = *item.parameter;
    const index_t width = row_bytes(item.stored, p.in);
    const index_t skip = item.first_row * (p.is_matrix ? width : row_bytes(item.stored, 1));
    index_t unit = 1;
    switch (task.kind) {
      case Kind::look: return {};
      case Kind::scales: return {item.scales_tensor, task.first, task.last - task.first};
      case Kind::bytes: break;
      case Kind::rows: unit = width; break;
      case Kind::turned: unit = row_bytes(item.stored, 2) / 2 * p.out; break;
    }
    return {item.tensor, skip + task.first * unit, (task.last - task.first) * unit};
  }

  static index_t bytes_of(const Task& task) {  // that it reads or looks at
    return task.kind == Kind::look ? task.last - task.first : source(task).bytes;
  }

  void run(ThreadPool& pool, std::vector<Task>& tasks) const {
    std::mutex reporting;
    index_t reports = 0, done = 0, total = 0;
    for (const Task& task : tasks) total += bytes_of(task);
    const auto count = static_cast<index_t>(tasks.size());
    const bool drop = !options_.map && options_.drop_pages.value_or(crowded());
    const index_t ahead = 8 * pool.size();  // tasks whose part the system reads meanwhile
    for (index_t i = 0; i < std::min(ahead, count); ++i)
      source(tasks[static_cast<std::size_t>(i)]).will_need();
    pool.parallel_for(count, [&](index_t i) {
      if (options_.stop.stop_requested())
        throw Error({.code = Errc::cancelled,
                     .file = files_->path(),
                     .field = "loading",
                     .expected = "to run to its end",
                     .found = "a request to stop"});
      if (i + ahead < count) source(tasks[static_cast<std::size_t>(i + ahead)]).will_need();
      Task& task = tasks[static_cast<std::size_t>(i)];
      perform(task);
      if (drop) source(task).drop();
      const std::lock_guard<std::mutex> lock(reporting);  // so that shares only rise
      ++reports, done += bytes_of(task);
      if (options_.progress && (reports % 16 == 0 || reports == count))
        options_.progress("loading", static_cast<double>(done) / static_cast<double>(total));
    });
    if (drop)  // what straddled two pieces
      for (const auto& file : files_->files()) file->drop_pages();
  }

  // Whether this machine has no room for the copy and the system's pages of the files as well.
  bool crowded() const {
    const auto available = available_memory();
    return available && checked_add(static_cast<index_t>(files_->total_bytes()), block_bytes(),
                                    "memory") > *available;
  }

  void perform(Task& task) const {
    const Item& item = *task.item;
    switch (task.kind) {
      case Kind::look:
        return refuse_bad_scales(item, item.scales + task.first, task.last - task.first);
      case Kind::scales:
      case Kind::bytes: {
        std::byte* const to = (task.kind == Kind::bytes ? item.data : item.scales) + task.first;
        touch_pages(to, task.last - task.first);
        source(task).read(to);
        if (task.kind == Kind::scales) refuse_bad_scales(item, to, task.last - task.first);
        return;
      }
      case Kind::rows:
      case Kind::turned: break;
    }
    try {
      task.kind == Kind::rows ? convert(task) : turn(task);
    } catch (const Error& error) {
      if (error.code() != Errc::not_finite || !error.info().file.empty()) throw;
      ErrorInfo info = error.info();  // of a number that has no code
      info.file = item.tensor->file->path(), info.field = item.tensor->entry->name;
      throw Error(std::move(info));
    }
  }

  void refuse_bad_scales(const Item& item, const std::byte* scales, index_t count) const {
    if (item.stored != Format::mxfp4) return;
    if (std::memchr(scales, 255, static_cast<std::size_t>(count)))
      throw Error({.code = Errc::not_finite,
                   .file = item.tensor->file->path(),
                   .field = item.scales_tensor->entry->name,
                   .expected = "E8M0 scales below 255",
                   .found = "255, which is NaN"});
  }

  using Scratch = std::unique_ptr<std::byte[]>;
  static Scratch scratch(index_t bytes) {
    return std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(bytes));
  }

  // Rows in one format become rows in another.
  void convert(Task& task) const {
    const Item& item = *task.item;
    const ParameterRef& p = *item.parameter;
    const index_t rows = task.last - task.first, fine = scale_bytes(item.stored, p.in);
    const Source from = source(task);
    const Scratch raw = scratch(from.bytes), raw_scales = scratch(rows * fine);
    from.read(raw.get());
    if (fine > 0) {
      Source{item.scales_tensor, task.first * fine, rows * fine}.read(raw_scales.get());
      refuse_bad_scales(item, raw_scales.get(), rows * fine);
    }
    const WeightView view{item.stored, raw.get(), raw_scales.get(), rows, p.in};
    std::vector<float> wide(static_cast<std::size_t>(p.in));
    for (index_t row = 0; row < rows; ++row) {
      kernels_.widen_row(view, row, wide.data());
      task.error += kernel::quantize_row(
          item.held, wide.data(), p.in, item.data + (task.first + row) * row_bytes(item.held, p.in),
          item.scales + (task.first + row) * scale_bytes(item.held, p.in));
    }
  }

  // Rows of one expert's [in, out] become columns of its [out, in], strip by strip.
  void turn(Task& task) const {
    const Item& item = *task.item;
    const ParameterRef& p = *item.parameter;
    const index_t element = row_bytes(item.stored, 2) / 2, line = p.out * element;
    const index_t expert = task.first / p.in, width = row_bytes(item.held, p.in),
                  fine = scale_bytes(item.held, p.in);
    std::byte* const to = item.data + expert * p.out * width;
    std::byte* const to_scales = item.scales + expert * p.out * fine;
    const Scratch raw = scratch(strip * line);
    constexpr index_t columns = 32;
    std::byte tile[columns * strip * 4];
    float wide[strip];
    for (index_t row = task.first; row < task.last; row += strip) {
      const index_t rows = std::min(strip, task.last - row), k = row - expert * p.in;
      Source{item.tensor, row * line, rows * line}.read(raw.get());
      for (index_t first = 0; first < p.out; first += columns) {
        const index_t count = std::min(columns, p.out - first);
        if (item.held == item.stored) {
          transpose_tile(raw.get() + first * element, line, rows, count, element,
                         to + first * width + k * element, width);
          continue;
        }
        transpose_tile(raw.get() + first * element, line, rows, count, element, tile,
                       rows * element);
        const WeightView view{item.stored, tile, nullptr, count, rows};
        for (index_t n = 0; n < count; ++n) {
          kernels_.widen_row(view, n, wide);
          task.error += kernel::quantize_row(
              item.held, wide, rows, to + (first + n) * width + row_bytes(item.held, k),
              to_scales + (first + n) * fine + scale_bytes(item.held, k));
        }
      }
    }
  }

  static constexpr index_t piece = huge_page;  // bytes of a task, about
  static constexpr index_t strip = 64;         // inputs that are turned at a time

  std::shared_ptr<const CheckpointFiles> files_;
  std::vector<ParameterRef> parameters_;
  LoadOptions options_;
  Layout layout_{};
  std::vector<Item> items_;
  std::vector<const ParameterRef*> absent_;  // optional ones that the files lack, and are 0
  std::vector<std::string> absent_names_;    // as this layout calls them
  std::set<std::string> used_;
  const kernel::Kernels<float>& kernels_ = kernel::best_kernels<float>();
  std::map<std::string, kernel::QuantizeError> errors_;  // of parameters that were converted
};

}  // namespace gov
