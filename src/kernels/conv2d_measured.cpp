// The table of measured convolutions: its rows, and which of them speaks for a problem.
#include <algorithm>
#include <array>
#include <sstream>
#include <tuple>

#include "core/format.hpp"
#include "kernels/convolution.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/kernels/conv2d.hpp"
#include "pixelwise/kernels/conv2d_table.hpp"

namespace pixelwise {
namespace {

// In the order of Pass; convolutions have no pass `backward`.
constexpr std::array<std::string_view, 4> pass_names{"forward", "backward", "backward_data", "backward_weights"};

auto key_of(const ConvolutionRow& row) {
  const ConvolutionClass& c = row.conv;
  return std::tuple(c.isa, c.pass, c.kernel.h, c.kernel.w, c.stride.h, c.stride.w, c.dilation.h, c.dilation.w,
                    c.in_channels, c.out_channels, row.pixels);
}

std::optional<Isa> isa_named(const std::string& name) {
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx}) {
    if (name == to_string(isa)) return isa;
  }
  return {};
}

// "3x3"
std::istream& operator>>(std::istream& in, Size& size) {
  char x = 0;
  if (in >> size.h >> x >> size.w && x != 'x') in.setstate(std::ios::failbit);
  return in;
}

ConvolutionRow parse_row(const std::string& line) {
  ConvolutionRow row;
  ConvolutionClass& c = row.conv;
  std::istringstream in(line);
  std::string isa, pass, rest;
  in >> isa >> pass >> c.kernel >> c.stride >> c.dilation >> c.in_channels >> c.out_channels >> row.pixels >>
      row.kernel >> row.ms >> row.instead_of >> row.instead_ms;
  const auto found = std::find(pass_names.begin(), pass_names.end(), pass);
  const std::optional<Isa> named = isa_named(isa);
  if (!in || in >> rest || !named || found == pass_names.end())
    throw DataError(
        format("table of convolutions: '{}' is not a row: isa, pass, kernel, stride, dilation, in and out "
               "channels, pixels, kernel, ms, kernel of the rules, ms",
               line));
  c.isa = *named;
  c.pass = static_cast<Pass>(found - pass_names.begin());
  return row;
}

}  // namespace

std::optional<ConvolutionRow> row_for(const Conv2dSpec& s, const Problem& problem) {
  if (s.groups != 1) return {};
  const Shape &x = problem.pass == Pass::backward_data ? problem.dst[0].shape : problem.src[0].shape,
              &y = problem.pass == Pass::forward         ? problem.dst[0].shape
                   : problem.pass == Pass::backward_data ? problem.src[0].shape
                                                         : problem.src[1].shape;
  ConvolutionRow row;
  row.conv = {problem.isa, problem.pass, s.kernel, s.stride, s.dilation, x.c, y.c};
  row.pixels = y.pixels();
  return row;
}

std::string describe_row(const ConvolutionRow& row) {
  const ConvolutionClass& c = row.conv;
  return format("{}, kernel {}, stride {}, dilation {}, {} -> {} channels, {} pixels, {}",
                pass_names[static_cast<size_t>(c.pass)], to_string(c.kernel), to_string(c.stride),
                to_string(c.dilation), c.in_channels, c.out_channels, row.pixels, to_string(c.isa));
}

const ConvolutionRow* nearest_row(const ConvolutionTable& table, const ConvolutionRow& wanted) {
  const ConvolutionRow* nearest = nullptr;
  const auto ratio = [&](const ConvolutionRow& row) {  // at least 1
    const auto [less, more] = std::minmax(row.pixels, wanted.pixels);
    return static_cast<double>(more) / static_cast<double>(less);
  };
  for (const ConvolutionRow& row : table) {
    if (row.conv == wanted.conv && ratio(row) <= 1.25 && (!nearest || ratio(row) < ratio(*nearest))) nearest = &row;
  }
  return nearest;
}

const ConvolutionRow* measured_row(const Conv2dSpec& spec, const Problem& problem) {
  const std::optional<ConvolutionRow> wanted = row_for(spec, problem);
  return wanted ? nearest_row(convolution_table(), *wanted) : nullptr;
}

void prefer_measured(Candidates& candidates, const Conv2dSpec& spec, const Problem& problem) {
  const ConvolutionRow* row = measured_row(spec, problem);
  if (!row) return;
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const Kernel& kernel) { return row->kernel == kernel.name; });
  if (found != candidates.end()) std::rotate(candidates.begin(), found, found + 1);
}

const ConvolutionTable& convolution_table() {
  static const ConvolutionTable table = parse_convolution_table(convolution_table_text);
  return table;
}

ConvolutionTable parse_convolution_table(std::string_view text) {
  const size_t begin = text.find("R\"("), end = text.rfind(")\"");
  if (begin != text.npos && end != text.npos) text = text.substr(begin + 3, end - begin - 3);
  ConvolutionTable table;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != '#') table.push_back(parse_row(line));
  }
  return table;
}

std::string print_convolution_table(ConvolutionTable table) {
  std::sort(table.begin(), table.end(),
            [](const ConvolutionRow& a, const ConvolutionRow& b) { return key_of(a) < key_of(b); });
  std::string text =
      "// Measured by tools/tune.sh; do not edit. See kernels/conv2d_table.hpp for what the columns are, and "
      "docs/design.md\n"
      "// (Selection) for why.\n"
      "#include \"kernels/convolution.hpp\"\n\n"
      "namespace pixelwise {\n\n"
      "const std::string_view convolution_table_text = R\"(\n";
  const std::string row_format = "{:<8} {:<16} {:<6} {:<6} {:<8} {:>5} {:>5} {:>7} {:<13} {:>9} {:<13} {:>9}\n";
  text += fmt::format(fmt::runtime(row_format), "# isa", "pass", "kernel", "stride", "dilation", "in", "out", "pixels",
                      "faster", "ms", "than", "ms");
  for (const ConvolutionRow& row : table) {
    const ConvolutionClass& c = row.conv;
    text += fmt::format(fmt::runtime(row_format), to_string(c.isa), pass_names[static_cast<size_t>(c.pass)],
                        to_string(c.kernel), to_string(c.stride), to_string(c.dilation), c.in_channels, c.out_channels,
                        row.pixels, row.kernel, fmt::format("{:.3f}", row.ms), row.instead_of,
                        fmt::format("{:.3f}", row.instead_ms));
  }
  return text + ")\";\n\n}  // namespace pixelwise\n";
}

}  // namespace pixelwise
