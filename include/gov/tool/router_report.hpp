// What --router-stats shows: of each layer, how its experts were loaded, by text and by images.
#pragma once

#include <iomanip>
#include <iostream>

#include "gov/io/json_writer.hpp"
#include "gov/model/router_statistics.hpp"

namespace gov::tool {

// The coefficient of the loss, where a config says it; 0 where none does.
template <class C>
double aux_loss_coefficient(const C& config) {
  if constexpr (requires { config.router_aux_loss_coef; })
    return config.router_aux_loss_coef;
  else
    return 0;
}

// "router": {"aux_loss": 2.1, "layers": [{"text": {"tokens": 12, ...}, "image": {...}}, ...]}
inline void write_router(JsonWriter& out, const RouterStatistics& statistics, double coefficient) {
  const auto load = [&](std::string_view key, const ExpertLoad& l) {
    out.key(key).begin_object().field("tokens", l.tokens).field("histogram", l.histogram);
    out.field("entropy", l.entropy()).field("token_entropy", l.token_entropy());
    out.field("load_variation", l.load_variation()).end_object();
  };
  out.key("router").begin_object().field("aux_loss", statistics.aux_loss());
  if (coefficient > 0) out.field("router_aux_loss_coef", coefficient);
  out.key("layers").begin_array();
  for (const auto& layer : statistics.layers()) {
    out.begin_object();
    load("text", layer.text), load("image", layer.image);
    out.end_object();
  }
  out.end_array().end_object();
}

// The same as a table; entropies in nats, of at most ln(experts).
inline void print_router(std::ostream& out, const RouterStatistics& statistics,
                         double coefficient) {
  const auto flags = out.flags();
  const auto precision = out.precision();
  out << std::fixed << std::setprecision(3)
      << "layer  rows   tokens  entropy  token entropy  variation  choices of each expert\n";
  for (std::size_t i = 0; i < statistics.layers().size(); ++i) {
    const auto line = [&](std::string_view rows, const ExpertLoad& load) {
      if (load.tokens == 0) return;
      out << std::setw(5) << i << "  " << std::left << std::setw(5) << rows << std::right
          << std::setw(8) << load.tokens << std::setw(9) << load.entropy() << std::setw(15)
          << load.token_entropy() << std::setw(11) << load.load_variation() << " ";
      for (const index_t count : load.histogram) out << " " << count;
      out << "\n";
    };
    line("text", statistics.layers()[i].text), line("image", statistics.layers()[i].image);
  }
  out << "load-balancing loss " << statistics.aux_loss();
  if (coefficient > 0)
    out << ", times " << coefficient << ": " << coefficient * statistics.aux_loss();
  out << "\n";
  out.flags(flags), out.precision(precision);
}

}  // namespace gov::tool
