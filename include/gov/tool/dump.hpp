// gov dump: every named intermediate of one forward pass as a safetensors file, to be compared with
// another implementation: input_ids, pixel_values, image_features, hidden_states.<l>, router.<l>
// (logits), router_indices.<l>, router_weights.<l>, vision_hidden_states.<l>, modality, logits.
// Nothing is rounded on the way unless --arithmetic says so.
#pragma once

#include <map>

#include "gov/io/safetensors_writer.hpp"
#include "gov/tool/interrupt.hpp"
#include "gov/tool/memory.hpp"
#include "gov/tool/progress.hpp"
#include "gov/tool/prompt.hpp"

namespace gov::tool {

// Gathers what it is shown; rows of later chunks and tiles go behind those of earlier ones.
class Recorder {
 public:
  void on(const std::string& name, Rows<float> rows) {
    auto& tensor = floats_[name];
    tensor.width = rows.cols;
    for (index_t i = 0; i < rows.rows; ++i)
      tensor.data.insert(tensor.data.end(), rows.row(i), rows.row(i) + rows.cols);
  }
  void on(const std::string& name, Rows<index_t> rows) {
    auto& tensor = integers_[name];
    tensor.width = rows.cols;
    tensor.data.insert(tensor.data.end(), rows.data, rows.data + rows.rows * rows.cols);
  }
  void add(const std::string& name, std::vector<index_t> shape, std::vector<float> data) {
    extra_shapes_[name] = std::move(shape);
    floats_[name].data = std::move(data);
  }
  void add(const std::string& name, std::span<const int> ids) {
    integers_[name] = {{ids.begin(), ids.end()}, static_cast<index_t>(ids.size())};
    extra_shapes_[name] = {static_cast<index_t>(ids.size())};
  }

  void write(const std::string& path) const {
    std::vector<TensorSpec> specs;
    const auto list = [&](const auto& tensors, DType dtype) {
      for (const auto& [name, tensor] : tensors) {
        const auto extra = extra_shapes_.find(name);
        const auto rows =
            static_cast<index_t>(tensor.data.size()) / std::max<index_t>(1, tensor.width);
        specs.push_back({name, dtype,
                         extra != extra_shapes_.end() ? extra->second
                                                      : std::vector<index_t>{rows, tensor.width}});
      }
    };
    list(floats_, DType::F32);
    list(integers_, DType::I64);
    write_safetensors(path, specs, [this](const TensorSpec& spec, const ByteSink& sink) {
      if (spec.dtype == DType::F32)
        sink(std::as_bytes(std::span(floats_.at(spec.name).data)));
      else
        sink(std::as_bytes(std::span(integers_.at(spec.name).data)));
    });
  }

 private:
  template <class T>
  struct Tensor {
    std::vector<T> data;
    index_t width = 0;
  };
  std::map<std::string, Tensor<float>> floats_;
  std::map<std::string, Tensor<index_t>> integers_;
  std::map<std::string, std::vector<index_t>> extra_shapes_;
};

// The tensor pixel_values of a safetensors file, F32 [tiles, channels, height, width], as one
// picture, or as one video of a model that takes its frames together.
inline PixelValues read_pixel_values(const std::string& path) {
  const auto file = SafeTensors::open(path);
  const TensorEntry& entry = file.at("pixel_values");
  if (entry.dtype != DType::F32 || entry.shape.size() != 4)
    throw Error({.code = Errc::checkpoint_mismatch,
                 .file = path,
                 .field = "pixel_values",
                 .expected = "F32 [tiles, channels, height, width]",
                 .found = std::string(to_string(entry.dtype)) + " of rank " +
                          std::to_string(entry.shape.size())});
  PixelValues pixels;
  pixels.count = entry.shape[0], pixels.channels = entry.shape[1];
  pixels.height = entry.shape[2], pixels.width = entry.shape[3];
  pixels.num_patches = {pixels.count};
  pixels.data.resize(static_cast<std::size_t>(entry.element_count()));
  file.read(entry, std::as_writable_bytes(std::span(pixels.data)));
  return pixels;
}

template <class Cfg>
int dump_command(const DumpArguments& arguments) {
  stop_on_interrupt();
  require_room<Cfg>(arguments);
  const auto stop = interrupt().get_token();
  const auto model = GovModel<Cfg>::from_pretrained(arguments.model,
                                                    arguments.model_options(progress_bar(), stop));
  Recorder recorder;
  Processed processed;
  processed.prompt.ids = arguments.token_ids;
  if (arguments.token_ids.empty()) {
    Chat<GovModel<Cfg>> chat = model.chat(chat_options_of(arguments));
    const Message turn = turn_of(arguments);
    const Processor& processor = chat.processor();
    processed = processor.process(std::span(&turn, 1), attachments_of(arguments, processor),
                                  arguments.system, model.pool().get(), stop);
  } else if (!arguments.pixel_values.empty()) {
    processed.pixels = read_pixel_values(arguments.pixel_values);
  }
  SessionOptions options = arguments.session_options();
  if (arguments.arithmetic.empty()) options.arithmetic = Arithmetic::invariant;
  auto session = model.session(options);
  session.forward(processed.inputs(), {.stop = stop}, recorder);
  recorder.add("input_ids", processed.prompt.ids);
  PixelValues& pixels = processed.pixels;
  if (pixels.count > 0)
    recorder.add("pixel_values", {pixels.count, pixels.channels, pixels.height, pixels.width},
                 std::move(pixels.data));
  recorder.write(arguments.output);
  return 0;
}

}  // namespace gov::tool
