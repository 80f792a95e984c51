// Bicubic resizing of position tables against torch's (tests/reference/position_resize.py).
#include "gov/vision/position_resize.hpp"

#include <doctest/doctest.h>

#include "gov/kernel/backend.hpp"

namespace {

using namespace gov;

struct Case {
  index_t side;
  Extent to;
  std::vector<double> values;
};

// torch 2.13.0+cpu
const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {4, {4, 4}, {0,     0.375, 0.875, 1.25,  0.375, 0.75,  1.25, 0.25, 0.75, 1.125, 0.25,
                   0.625, 1.125, 0.125, 0.625, 1,     0.125, 0.5,  1,    0,    0.5,   0.875,
                   0,     0.375, 0.875, 1.25,  0.375, 0.75,  1.25, 0.25, 0.75, 1.125}},
      {4, {8, 8}, {-0.186681747,  0.188318253, 0.17467308,  0.544574738,  0.777849197,  1.13755417,
                   0.866500854,   1.33289337,  0.370315552, 1.03308868,   0.458967209,  0.617046356,
                   1.06214333,    0.29945755,  1.42349815,  0.102869034,  0.137563705,  0.507465363,
                   0.313531876,   0.713834763, 0.605100632, 1.06054115,   0.709802628,  1.0704937,
                   0.557325363,   0.740854263, 0.679777145, 0.492448807,  0.997781754,  0.454366684,
                   1.18980026,    0.427114487, 0.68116951,  1.04087448,   0.545530319,  1.00097084,
                   0.313333511,   0.943250656, 0.444471359, 0.64159584,   0.868631363,  0.252286911,
                   1.05301857,    0.279989243, 0.900129318, 0.71280098,   0.812641144,  0.970720291,
                   0.691207886,   1.10416222,  0.573318481, 0.894922256,  0.370956421,  0.552030563,
                   0.518144608,   0.268125534, 0.944570541, 0.190423965,  0.959621429,  0.385763168,
                   0.560459137,   0.756639481, 0.323083878, 0.980758667,  0.144241333,  0.646699905,
                   0.373458862,   0.439725876, 0.75453186,  0.0900363922, 0.898321152,  0.153238297,
                   0.734514236,   0.599302292, 0.434558868, 0.759141922,  0.154735565,  0.553380966,
                   -0.0173053741, 0.433792114, 0.154279709, 0.656738281,  0.401247025,  0.46581459,
                   0.81215477,    0.142560959, 0.954244614, 0.22351265,   0.757204056,  0.669576645,
                   0.45554924,    0.811666489, 0.205560684, 0.579469681,  0.0512695312, 0.44383049,
                   0.697885513,   1.11083984,  0.633245468, 0.9497509,    0.52038765,   0.686166763,
                   0.662477493,   0.455511093, 0.989202499, 0.377809525,  0.999155045,  0.519899368,
                   0.689496994,   0.811468124, 0.505371094, 0.987436295,  1.02213097,   1.38183594,
                   0.772104263,   1.23849678,  0.347639084, 1.01041222,   0.489728928,  0.594369888,
                   1.12806129,    0.205060959, 1.3234005,   0.347150803,  0.978242874,  0.95032692,
                   0.776367188,   1.31168175}},
      {4,
       {2, 2},
       {0.433227539, 0.961303711, 0.932006836, 0.466430664, 0.594116211, 0.536743164, 0.571899414,
        0.691772461}},
      {4, {6, 6}, {-0.151419934, 0.223580066, 0.490139431, 0.853949653, 0.909416795,  1.32956272,
                   0.32973251,   0.947039569, 0.749009874, 0.447699653, 1.39056924,   0.131132149,
                   0.428507487,  0.792317708, 0.433227539, 0.961303711, 0.539428711,  0.916616934,
                   0.747924805,  0.433236581, 0.932006836, 0.466430664, 1.01236979,   0.71105957,
                   0.74694573,   1.14114794,  0.440827546, 0.80384205,  0.401388454,  0.360828625,
                   1.02327457,   0.151381421, 0.850188079, 0.549673575, 0.414262936,  1.02949781,
                   0.0955021862, 0.5830907,   0.586516204, 0.200959382, 0.954830803,  0.0895686313,
                   0.653655043,  0.721843285, 0.238353588, 0.686410409, -0.031730746, 0.37805427,
                   0.41394043,   0.859809028, 0.594116211, 0.536743164, 0.802368164,  0.317396376,
                   0.856892904,  0.573635525, 0.571899414, 0.691772461, 0.273003472,  0.696492513,
                   0.993867851,  1.35850694,  0.537204319, 1.12316895,  0.418372135,  0.665548945,
                   1.20504547,   0.189639496, 1.1583252,   0.634860569, 0.771701389,  1.27641993}},
      {4, {2, 8}, {0.42741394,  0.788818359, 0.435745239, 0.873184204, 0.445541382, 1.01994324,
                   0.563461304, 0.862258911, 0.719192505, 0.482894897, 0.88444519,  0.372543335,
                   0.964736938, 0.589797974, 1.01586914,  0.716964722, 0.408035278, 0.869140625,
                   0.511032104, 0.692001343, 0.679946899, 0.396316528, 0.822036743, 0.333297729,
                   0.866989136, 0.537368774, 0.70930481,  0.679458618, 0.431747437, 0.689254761,
                   0.263671875, 0.69758606}},
      {3, {5, 4}, {-0.192279785, 0.324194824, 0.579057617,  1.00162402,   0.817456543, 1.17795459,
                   0.351111328,  0.726111328, 0.469488037,  0.272694824,  0.767371582, 0.950124023,
                   0.692842529,  1.12645459,  0.299611328,  0.674611328,  1.28588867,  0.187194824,
                   0.985107422,  0.864624023, 0.514892578,  1.04095459,   0.214111328, 0.589111328,
                   1.30649463,   0.101694824, 0.935282227,  0.779124023,  0.418516113, 0.95545459,
                   0.128611328,  0.503611328, 1.14888867,   0.0501948242, 0.848107422, 0.727624023,
                   0.377892578,  0.90395459,  0.0771113281, 0.452111328}},
      {1, {3, 2}, {0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375}},
      {2, {1, 1}, {0.625, 0.65625}},
  };
  return list;
}

// With antialias=True.
const std::vector<Case>& antialiased_cases() {
  static const std::vector<Case> list{
      {5,
       {3, 3},
       {0.47683432, 0.602869822, 0.670474061, 0.743515206, 0.826301775, 0.502899408, 0.410742397,
        0.662853309, 0.634832342, 0.782276906, 0.698148479, 0.440894454, 0.673431953, 0.597366864,
        0.52254025, 0.579642218, 0.482337278, 0.880769231}},
      {5, {2, 8}, {0.174709976, 0.636940693, 0.437412754, 0.58607482,  0.773301116, 0.580335885,
                   0.691070044, 0.892986362, 0.591204175, 0.860569748, 0.557630423, 0.484093337,
                   0.80562761,  0.425108148, 0.995951188, 0.439813733, 0.821993904, 0.688281404,
                   0.567080263, 0.66417005,  0.283957271, 0.610161144, 0.562454039, 0.47992285,
                   0.69962776,  0.64502095,  0.62453919,  1.03025128,  0.535368072, 0.734797599,
                   0.477665716, 0.453718022}},
      {6, {6, 4}, {0.318770227, 0.704894822, 0.636294028, 0.891271057, 1.04134763,  0.563552833,
                   0.40513754,  0.835760518, 0.96986246,  0.454894822, 0.333652374, 0.641271057,
                   0.791347626, 0.313552833, 0.15513754,  0.585760518, 0.664239482, 1.09486246,
                   0.936447167, 0.458652374, 0.608728943, 0.916347626, 0.795105178, 0.28013754,
                   0.414239482, 0.84486246,  0.686447167, 0.208652374, 0.358728943, 0.613705972,
                   0.545105178, 0.931229773, 0.704894822, 0.539239482, 0.891271057, 0.811447167,
                   0.563552833, 0.483728943, 0.835760518, 0.670105178, 0.454894822, 0.289239482,
                   0.641271057, 0.504594181, 0.313552833, 0.745405819, 0.585760518, 0.960760518}},
      {3, {5, 4}, {-0.145469586, 0.338725007, 0.554190127,  0.967923205,  0.766480753, 1.1342001,
                   0.358314559,  0.733314559, 0.423514424,  0.291044776,  0.725250618, 0.920242974,
                   0.677683845,  1.08651987,  0.310634328,  0.685634328,  1.2761194,   0.204291045,
                   0.971702526,  0.833489242, 0.528297474,  0.999766137,  0.223880597, 0.598880597,
                   1.25414903,   0.117537313, 0.907928494,  0.746735511,  0.437224251, 0.913012405,
                   0.137126866,  0.512126866, 1.14168544,   0.0698570825, 0.837268563, 0.69905528,
                   0.393863512,  0.865332174, 0.0894466348, 0.464446635}},
      {7, {1, 2}, {0.621874844, 0.631276657, 0.623756899, 0.650561632}},
      {1, {3, 2}, {0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375, 0, 0.375}},
  };
  return list;
}

// Entry (i, c) of a table, row 0 being the class token's.
float entry(index_t i, index_t c) {
  return i == 0 ? 100.0f : static_cast<float>((7 * (i - 1) + 3 * c) % 11) / 8;
}

template <class T>
std::vector<T> resized(const Case& c, bool square, T start,
                       PositionFilter filter = PositionFilter::bicubic) {
  std::vector<float> table;
  for (index_t i = 0; i <= c.side * c.side; ++i)
    for (index_t k = 0; k < 2; ++k) table.push_back(entry(i, k));
  const index_t tokens = 1 + c.to.height * c.to.width;
  std::vector<T> out(static_cast<std::size_t>(tokens * 2), start);
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{*kernel::find_kernels<T>("scalar"), pool, arena};
  add_positions(context, table.data(), c.side * c.side, c.to, square,
                Rows<T>(out.data(), tokens, 2), filter);
  return out;
}

template <class T>
void check_against_torch(const std::vector<Case>& list, PositionFilter filter, double bar) {
  for (const auto& c : list) {
    CAPTURE(c.side);
    CAPTURE(c.to.height);
    CAPTURE(c.to.width);
    const auto out = resized<T>(c, c.to.height == c.to.width, T(0.5), filter);
    CHECK(out[0] == T(100.5));  // the class token's row is never resized
    REQUIRE(out.size() == c.values.size() + 2);
    for (std::size_t i = 0; i < c.values.size(); ++i)
      CHECK(std::abs(static_cast<double>(out[i + 2]) - 0.5 - c.values[i]) < bar);
  }
}

TEST_CASE("as torch interpolates, added to what is there") {
  // The fixture has nine digits.
  check_against_torch<double>(cases(), PositionFilter::bicubic, 6e-9);
  check_against_torch<float>(cases(), PositionFilter::bicubic, 3e-7);
  check_against_torch<double>(antialiased_cases(), PositionFilter::antialiased, 6e-9);
  check_against_torch<float>(antialiased_cases(), PositionFilter::antialiased, 3e-7);
}

TEST_CASE("the table itself where the grid is its own and the image square") {
  const Case same{4, {4, 4}, {}};
  const auto out = resized<float>(same, true, 0);
  for (index_t i = 0; i < 17; ++i)
    for (index_t c = 0; c < 2; ++c) CHECK(out[static_cast<std::size_t>(i * 2 + c)] == entry(i, c));
  // As many patches in another shape: resized, unless the image is square.
  const Case wide{4, {2, 8}, {}};
  CHECK(resized<float>(wide, true, 0) == out);
  CHECK(resized<float>(wide, false, 0) != out);
}

TEST_CASE("without a class token the patches' positions are the same") {
  for (const auto& c : cases()) {
    const auto with_class = resized<float>(c, true, 0);
    std::vector<float> table;
    for (index_t i = 1; i <= c.side * c.side; ++i)
      for (index_t k = 0; k < 2; ++k) table.push_back(entry(i, k));
    std::vector<float> out(with_class.size() - 2);
    ThreadPool pool(1);
    Arena arena;
    Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
    add_positions(context, table.data(), c.side * c.side, c.to, true,
                  Rows<float>(out.data(), c.to.height * c.to.width, 2));
    CHECK(std::equal(out.begin(), out.end(), with_class.begin() + 2));
  }
}

TEST_CASE("antialiasing leaves a table of the right size alone") {
  const Case same{4, {4, 4}, {}};
  CHECK(resized<float>(same, true, 0, PositionFilter::antialiased) ==
        resized<float>(same, true, 0));
}

TEST_CASE("antialiased taps: as many as the shrinking asks for, of weight one in all") {
  Arena arena;
  for (const index_t in : {1, 2, 5, 37})
    for (const index_t out : {1, 3, 16, 40})
      for (index_t i = 0; i < out; ++i) {
        const ArenaScope scope(arena);
        const TapList taps = antialiased_taps(arena, i, in, out);
        double sum = 0;
        for (index_t k = 0; k < taps.count; ++k) {
          CHECK((0 <= taps.index[k] && taps.index[k] < in));
          sum += taps.weight[k];
        }
        CHECK(sum == doctest::Approx(1).epsilon(1e-12));
        CHECK(taps.count >= 1);
        CHECK(taps.count <= std::max<index_t>(4, 4 * in / out) + 1);
      }
}

TEST_CASE("the taps' weights sum to one, stay in range and reproduce a straight line inside") {
  for (const index_t in : {1, 2, 5, 16})
    for (const index_t out : {1, 2, 3, 7, 16, 40})
      for (index_t i = 0; i < out; ++i) {
        const auto taps = cubic_taps(i, in, out);
        double sum = 0, line = 0;
        bool clamped = false;
        for (std::size_t k = 0; k < 4; ++k) {
          CHECK((0 <= taps.index[k] && taps.index[k] < in));
          clamped = clamped || (k > 0 && taps.index[k] != taps.index[k - 1] + 1);
          sum += taps.weight[k], line += taps.weight[k] * static_cast<double>(taps.index[k]);
        }
        CHECK(sum == doctest::Approx(1).epsilon(1e-12));
        if (!clamped) {
          const double source =
              (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) -
              0.5;
          // With a = -0.75 a line is met exactly at the samples and half way between them.
          const double t = source - std::floor(source);
          if (t == 0 || t == 0.5) CHECK(line == doctest::Approx(source).epsilon(1e-12));
        }
      }
}

}  // namespace
