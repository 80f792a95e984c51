// Writes a whole checkpoint of any model type with random weights: true names, dtypes, shapes and
// shards of a layout and a storage policy, so that loading and running can be timed at real size
// without the real weights. Every number depends on the seed and on the parameter's own name only:
// all layouts of one seed hold the same model, whatever the number of threads. Numbers are drawn
// from 4096 samples of N(0, 0.02) (norms 1 + that, layer scales 0.1 + that), MXFP4 codes evenly.
#pragma once

#include <filesystem>
#include <map>

#include "benchmarks/random_checkpoint_files.hpp"
#include "gov/core/parallel.hpp"
#include "gov/core/rng.hpp"
#include "gov/io/safetensors_writer.hpp"
#include "gov/model/load.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/model/storage_policy.hpp"

namespace gov::bench {

struct RandomCheckpointOptions {
  Layout layout = Layout::hf;
  std::string storage = "mxfp4";  // of parse_storage; what it leaves "as stored" is bf16
  std::uint64_t seed = 1, max_shard_bytes = 5'000'000'000;
  std::filesystem::path tokenizer{};  // folder to copy the tokenizer from; "": a made-up one
  int threads = 0;
  bool overwrite = false;
  Progress progress{};
};

class RandomTensors {
 public:
  RandomTensors(std::vector<ParameterRef> parameters, bool multimodal,
                const RandomCheckpointOptions& options)
      : seed_(options.seed), parameters_(std::move(parameters)) {
    const StoragePolicy policy = parse_storage(options.storage);
    dense_ = policy.dense && !is_blocked(*policy.dense) ? *policy.dense : Format::bf16;
    for (const auto& p : parameters_) {
      const Format format =
          p.is_matrix ? held_format(policy, Format::bf16, p.name, p.is_expert, p.in) : dense_;
      add(p, format, spell(options.layout, p.name, multimodal));
      blocked_ = blocked_ || is_blocked(format), q8_ = q8_ || format == Format::q8;
    }
    Rng rng(0x676f76);
    for (std::size_t i = 0; i < normals_.size(); i += 2) {
      normals_[i] = static_cast<float>(0.02 * rng.normal());
      normals_[i + 1] = -normals_[i];
    }
  }

  const std::vector<TensorSpec>& specs() const { return specs_; }  // in the model's order
  Format dense() const { return dense_; }
  bool blocked() const { return blocked_; }
  bool q8() const { return q8_; }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [name, parts] : parts_)
      for (const auto& part : parts) sum += static_cast<std::uint64_t>(part.bytes);
    return sum;
  }

  // Hands a tensor's bytes to the sink, window by window.
  void supply(const TensorSpec& spec, const ByteSink& sink, ThreadPool& pool,
              const std::function<void(index_t)>& written) {
    for (const Part& part : parts_.at(spec.name)) {
      const Drawer drawer(*this, part);
      for (index_t at = 0; at < part.bytes; at += window) {
        const index_t bytes = std::min(window, part.bytes - at);
        buffer_.resize(static_cast<std::size_t>(std::max(bytes, index_t(buffer_.size()))));
        pool.parallel_for((bytes + piece - 1) / piece, [&](index_t i) {
          drawer.draw((at + i * piece) / piece,
                      {buffer_.data() + i * piece,
                       static_cast<std::size_t>(std::min(piece, bytes - i * piece))});
        });
        sink({buffer_.data(), static_cast<std::size_t>(bytes)});
        written(bytes);
      }
    }
  }

 private:
  static constexpr index_t piece = index_t{1} << 20, window = 64 * piece;  // bytes
  enum class Kind { dense, mxfp4_blocks, mxfp4_scales, q8_blocks, q8_scales };
  struct Part {
    std::string name;
    Kind kind;
    Format format;
    index_t bytes;
    int order;
    float mean;
  };

  // Piece by piece of one part.
  class Drawer {
   public:
    Drawer(const RandomTensors& tensors, const Part& part) : part_(part) {
      seed_ = tensors.seed_;
      for (const char c : part.name + static_cast<char>('0' + static_cast<int>(part.kind)))
        seed_ = (seed_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;  // FNV-1a
      for (std::size_t i = 0; i < table_size; ++i) {
        const float value = part.mean + tensors.normals_[i];
        wide_[i] = value;
        half_[i] = part.format == Format::f16 ? to_f16(value).bits : to_bf16(value).bits;
        code_[i] = static_cast<std::int8_t>(std::clamp(tensors.normals_[i] * 1500, -127.f, 127.f));
      }
    }

    void draw(index_t number, std::span<std::byte> to) const {
      Rng rng(seed_ + static_cast<std::uint64_t>(number) * 0xd1342543de82ef95u);
      switch (part_.kind) {
        case Kind::mxfp4_blocks:
          return fill<std::uint64_t>(
              to, [&](std::uint64_t* v) { *v = rng.next(); }, 1);
        case Kind::mxfp4_scales:  // 2^-7 mostly, else 2^-8: a deviation of about 0.02
          return four(to, rng, [](std::uint64_t bits) {
            return static_cast<std::uint8_t>((bits & 3) != 0 ? 120 : 119);
          });
        case Kind::q8_blocks:
          return four(to, rng, [&](std::uint64_t bits) { return code_[bits % table_size]; });
        case Kind::q8_scales:  // with codes of a deviation of 30: about 0.02
          return four(to, rng, [](std::uint64_t bits) {
            return static_cast<std::uint16_t>(0x3a20 + bits % 32);
          });
        case Kind::dense: break;
      }
      if (part_.format == Format::f32)
        four(to, rng, [&](std::uint64_t bits) { return wide_[bits % table_size]; });
      else
        four(to, rng, [&](std::uint64_t bits) { return half_[bits % table_size]; });
    }

   private:
    static constexpr std::size_t table_size = 4096;

    // Elements in fours, each of 16 random bits.
    template <class Pick>
    static void four(std::span<std::byte> to, Rng& rng, Pick pick) {
      using Element = decltype(pick(std::uint64_t{}));
      fill<Element>(
          to,
          [&](Element* values) {
            const std::uint64_t bits = rng.next();
            for (int i = 0; i < 4; ++i) values[i] = pick(bits >> (16 * i) & 0xffff);
          },
          4);
    }
    template <class Element, class Next>
    static void fill(std::span<std::byte> to, Next next, std::size_t group) {
      Element values[4]{};
      const std::size_t bytes = group * sizeof(Element);
      std::size_t at = 0;
      for (; at + bytes <= to.size(); at += bytes)
        next(values), std::memcpy(to.data() + at, values, bytes);
      if (at < to.size()) next(values), std::memcpy(to.data() + at, values, to.size() - at);
    }

    const Part& part_;
    std::uint64_t seed_;
    std::array<float, table_size> wide_;
    std::array<std::uint16_t, table_size> half_;
    std::array<std::int8_t, table_size> code_;
  };

  void add(const ParameterRef& p, Format format, const SpelledName& spelled) {
    const bool lambda = p.name.find("lambda_") != p.name.npos;
    const bool norm = p.name.find("norm") != p.name.npos && p.name.ends_with("weight");
    const float mean = norm ? 1.f : lambda ? 0.1f : 0.f;
    const auto put = [&](const std::string& name, Kind kind, DType dtype,
                         std::vector<index_t> shape, index_t bytes) {
      auto& parts = parts_[name];
      if (parts.empty()) {
        specs_.push_back({name, dtype, std::move(shape)});
      } else {  // rows of a fused tensor
        const auto spec = std::find_if(specs_.begin(), specs_.end(),
                                       [&](const TensorSpec& s) { return s.name == name; });
        spec->shape.front() += shape.front();
      }
      parts.push_back({p.name, kind, format, bytes, spelled.part, mean});
      std::sort(parts.begin(), parts.end(),
                [](const Part& a, const Part& b) { return a.order < b.order; });
    };
    if (!is_blocked(format)) {
      std::vector<index_t> shape = p.shape;
      if (p.is_expert && !spelled.experts_transposed) shape = {p.experts, p.out, p.in};
      const DType dtype = format == Format::f32    ? DType::F32
                          : format == Format::bf16 ? DType::BF16
                                                   : DType::F16;
      return put(spelled.name, Kind::dense, dtype, std::move(shape), p.data_bytes(format));
    }
    const bool q8 = format == Format::q8;
    std::vector<index_t> blocks{p.out, p.in / block_size, 16}, scales{p.out, p.in / block_size};
    if (q8) blocks = {p.out, p.in};
    if (p.is_expert)
      blocks.insert(blocks.begin(), p.experts), scales.insert(scales.begin(), p.experts);
    put(spelled.name + std::string(spelled.blocks), q8 ? Kind::q8_blocks : Kind::mxfp4_blocks,
        DType::U8, blocks, p.data_bytes(format));
    put(spelled.name + std::string(spelled.scales), q8 ? Kind::q8_scales : Kind::mxfp4_scales,
        q8 ? DType::BF16 : DType::U8, scales, p.scales_bytes(format));
  }

  std::uint64_t seed_;
  std::vector<ParameterRef> parameters_;
  Format dense_ = Format::bf16;
  bool blocked_ = false, q8_ = false;
  std::vector<TensorSpec> specs_;
  std::map<std::string, std::vector<Part>> parts_;
  std::array<float, 4096> normals_{};
  std::vector<std::byte> buffer_;
};

// What a written checkpoint takes.
struct WrittenCheckpoint {
  std::uint64_t bytes = 0;         // of tensors
  std::vector<std::string> files;  // of weights
};

inline WrittenCheckpoint write_random_checkpoint(const std::filesystem::path& folder,
                                                 std::vector<ParameterRef> parameters,
                                                 ModelDescription description,
                                                 const RandomCheckpointOptions& options = {}) {
  namespace fs = std::filesystem;
  const bool multimodal = description.composition.has_value();
  RandomTensors tensors(std::move(parameters), multimodal, options);
  fs::create_directories(folder);
  const std::uint64_t total = tensors.bytes(), free = fs::space(folder).available;
  if (total > free)
    throw Error({.code = Errc::io_error,
                 .file = folder.string(),
                 .field = {},
                 .expected = std::to_string(total) + " bytes of disk space",
                 .found = std::to_string(free)});
  ThreadPool pool(options.threads);
  CheckpointWriteOptions files;
  files.max_shard_bytes = options.max_shard_bytes, files.overwrite = options.overwrite;
  std::uint64_t done = 0;
  const auto count = [&](index_t bytes) {
    done += static_cast<std::uint64_t>(bytes);
    if (options.progress)
      options.progress("writing", static_cast<double>(done) / static_cast<double>(total));
  };
  WrittenCheckpoint written{total, {}};
  written.files = write_checkpoint(
      folder.string(), tensors.specs(),
      [&](const TensorSpec& spec, const ByteSink& sink) {
        tensors.supply(spec, sink, pool, count);
      },
      files);
  write_companions(folder, description, options.layout,
                   {.dtype = tensors.dense() == Format::f32   ? "float32"
                             : tensors.dense() == Format::f16 ? "float16"
                                                              : "bfloat16",
                    .quant_method = tensors.q8()        ? "gov-mxfp4-q8"
                                    : tensors.blocked() ? "mxfp4"
                                                        : "",
                    .tokenizer = options.tokenizer});
  return written;
}

template <class Cfg>
WrittenCheckpoint write_random_checkpoint(const std::filesystem::path& folder,
                                          const RandomCheckpointOptions& options = {}) {
  const auto params = std::make_unique<typename Architecture<Cfg>::Params>();
  return write_random_checkpoint(folder, parameter_list(*params), ModelDescription::of<Cfg>(),
                                 options);
}

}  // namespace gov::bench
