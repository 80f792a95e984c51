// The command-line tool for the shipped presets and the example's own model. Your checkpoint has
// another geometry? gov_add_model() and gov_add_tool() make this program for it; see the README.
#include "Digits.hpp"
#include "gov/model/presets.hpp"
#include "gov/tool/tool.hpp"
#ifdef GOV_WITH_FFMPEG
#include "gov/image/video_file.hpp"
#endif

// test: inspect examples/digits/model
// test: generate --model examples/digits/model --image examples/digits/pictures/03.png --prompt "How many digits are there?" --greedy --json
int main(int argc, char** argv) {
  return gov::tool::main<Digits, gov::InternVl35GptOss20b, gov::GptOss20b, gov::GptOss120b,
                         gov::InternVl3_1b, gov::Qwen2_0_5b>(argc, argv);
}
