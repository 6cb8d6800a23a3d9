#include "pixelwise/core/fields.hpp"

#include <algorithm>
#include <numeric>

namespace pixelwise {
namespace {

// Levenshtein 1966, one row at a time.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& given, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(3, given.size() / 2);
  for (const std::string& word : known) {
    const size_t distance = edit_distance(given, word);
    if (distance < best_distance) best = word, best_distance = distance;
  }
  return best;
}

}  // namespace pixelwise
