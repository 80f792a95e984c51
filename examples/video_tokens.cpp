// A video's way through LlavaGpt2 in seven steps, with the shape of each: frames, patches, packed
// tokens, the language model's width, positions, their places in the prompt, an answer. The
// geometry is Seed96's with fewer layers and random weights.
#include <iostream>
#include <map>

#include "gov/gov.hpp"

struct SmallSeed96 : gov::LlavaGpt2 {
  static constexpr std::string_view name = "SmallSeed96";
  struct Vision : gov::Dinov2Modules {
    static constexpr gov::Dinov2Config config = [] {
      gov::Dinov2Config c = gov::Dinov2Large::config;
      c.num_hidden_layers = 1, c.image_size = {224, 224};
      return c;
    }();
  };
  struct Language : gov::Gpt2 {
    static constexpr gov::Gpt2Config config = [] {
      gov::Gpt2Config c = gov::Seed96::Language::config;
      c.n_layer = 2;
      return c;
    }();
  };
  static constexpr gov::LlavaGpt2Config config = gov::Seed96::config;
};

// Keeps the shape of every intermediate.
struct Shapes {
  std::map<std::string, std::pair<gov::index_t, gov::index_t>> seen;
  std::map<std::string, int> times;
  void on(const std::string& name, gov::Rows<float> x) {
    seen[name] = {x.rows, x.cols};
    ++times[name];
  }
};

// test:
int main() {
  using Images = gov::Architecture<SmallSeed96>::Images;
  try {
    const auto model = gov::GovModel<SmallSeed96>::random(1);
    constexpr gov::index_t frames = Images::num_frames, side = 224;
    std::vector<float> video(static_cast<std::size_t>(frames * 3 * side * side));
    for (std::size_t i = 0; i < video.size(); ++i)
      video[i] = static_cast<float>(i % 251) / 125.0f - 1;

    // "a" <vid_start> <vid_patch> ... <vid_end> <slow_vid_start> ... <slow_vid_end> "b"
    const gov::VisualMarkerIds& ids = model.tokens().markers;
    const auto tracks = Images::Packer::tracks(frames);
    std::vector<int> prompt{64};
    const auto span = [&prompt, &ids](int start, gov::index_t tokens, int end) {
      prompt.push_back(start);
      prompt.insert(prompt.end(), static_cast<std::size_t>(tokens - 2), ids.vid_patch);
      prompt.push_back(end);
    };
    span(ids.vid_start, tracks.fast.tokens(), ids.vid_end);
    span(ids.slow_vid_start, tracks.slow.tokens(), ids.slow_vid_end);
    prompt.push_back(65);

    Shapes shapes;
    auto session = model.session();
    const gov::Inputs inputs{.input_ids = prompt,
                             .pixel_values = {video.data(), frames, 3, side, side}};
    const auto out = session.forward(inputs, {.logits_to_keep = 1}, shapes);

    const auto print = [](int step, const char* what, auto... extents) {
      std::cout << step << ". " << what << " [";
      const char* comma = "";
      ((std::cout << comma << extents, comma = ", "), ...);
      std::cout << "]\n";
    };
    const auto shape = [&shapes](const char* name) { return shapes.seen.at(name); };
    const auto [patches, width] = shape("vision_hidden_states.1");
    const auto [tokens, hidden] = shape("image_features");
    print(1, "frames", frames, 3, side, side);
    print(2, "patches of the tower, class token dropped", shapes.times["vision_hidden_states.1"],
          patches - 1, width);
    print(3, "packed: fast tokens", tracks.fast.frames, tracks.fast.height, tracks.fast.width,
          width);
    print(3, "packed: slow tokens", tracks.slow.frames, tracks.slow.height, tracks.slow.width,
          width);
    print(4, "projected to the language model", tokens, hidden);
    print(5, "with positions of time, height and width", tokens, hidden);
    print(6, "prompt with the features over its place-holders", shape("inputs_embeds").first,
          shape("inputs_embeds").second);
    print(7, "logits of the next token", out.logits.rows, out.logits.cols);
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
