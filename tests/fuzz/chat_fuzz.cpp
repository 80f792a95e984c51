// Chats made of any bytes: the number of control tokens depends on the roles alone, and any tokens
// can be read as a harmony answer. Layout of the input: messages separated by the byte FF; the
// first byte of each chooses its role and channel.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gov/text/harmony.hpp"
#include "gov/text/harmony_parser.hpp"
#include "gov/text/internvl_chat.hpp"
#include "gov/text/internvl_gpt_oss_chat.hpp"
#include "tests/support/byte_tokenizer.hpp"

namespace {

std::size_t controls(const gov::Tokenizer& tokenizer, const gov::Prompt& prompt) {
  std::size_t count = 0;
  for (const int id : prompt.ids) count += tokenizer.is_added(id);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gov;
  static const Tokenizer tokenizer = test::byte_tokenizer(SplitPattern::o200k);
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<Message> messages;
  VisualTokens visuals;
  std::size_t images = 0;
  while (!input.empty() && messages.size() < 64) {
    const std::size_t end = input.find('\xFF');
    std::string_view part = input.substr(0, end);
    input = end == input.npos ? std::string_view() : input.substr(end + 1);
    const unsigned kind = part.empty() ? 0 : static_cast<unsigned char>(part.front());
    Message message{.role = static_cast<Role>(kind % 5), .content = {}};
    message.content.push_back(Content::of_text(std::string(part.substr(part.empty() ? 0 : 1))));
    if (kind & 8) message.channel = "analysis";
    if (kind & 16) message.recipient = "functions." + message.text();
    if ((kind & 32) && message.role == Role::user) {
      message.content.push_back(Content::image());
      visuals.images.push_back(static_cast<index_t>(kind));
      images += kind + 2u;
    }
    messages.push_back(std::move(message));
  }
  const bool told = !messages.empty() && messages.front().role == Role::system;
  const std::size_t block = (told ? 0 : 3) + 3 * messages.size() + images + 1;
  const std::size_t chat_ml = 2 * messages.size() + images + 1;
  if (controls(tokenizer, render_internvl_chat(tokenizer, messages, {}, visuals)) != chat_ml)
    std::abort();
  std::size_t expected = block;
  for (const Message& message : messages)
    if (message.role == Role::assistant)
      message.channel == "analysis" ? expected -= 3 : expected += 1;
  const Prompt prompt = render_internvl_gpt_oss_chat(tokenizer, messages, {}, visuals);
  if (controls(tokenizer, prompt) != expected) std::abort();
  try {
    render_harmony(tokenizer, messages, {}, visuals);
  } catch (const Error&) {  // a late system message, a tool that nobody called
  }
  std::vector<int> ids;
  for (std::size_t i = 0; i < size; ++i) ids.push_back(data[i] < 32 ? 262 + data[i] : data[i]);
  for (const Message& message : parse_harmony(tokenizer, ids))
    if (!is_valid_utf8(message.text())) std::abort();
  return 0;
}
