// Fixtures that the scripts in tests/fixtures/oracle make with PyTorch: lines of a key and numbers, where a tensor is
// its norm and a few projections onto random vectors.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/format.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/core/view.hpp"

namespace pixelwise {

using Numbers = std::vector<double>;
using OracleRows = std::map<std::string, Numbers>;

/// A file under tests/fixtures.
inline OracleRows read_oracle(const std::string& name) {
  OracleRows rows;
  std::ifstream file(format("{}/tests/fixtures/{}", PIXELWISE_SOURCE_DIR, name));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    for (double value = 0; words >> value;) rows[key].push_back(value);
  }
  return rows;
}

/// The random numbers that the scripts call by the same purpose.
inline Random oracle_stream(const std::string& purpose) { return Random(7, purpose); }

inline double element(const View& view, int64_t i) {
  return view.type == Type::f64 ? view.as<double>()[i] : view.as<float>()[i];
}
inline void put(const View& view, int64_t i, double value) {
  view.type == Type::f64 ? view.as<double>()[i] = value : view.as<float>()[i] = static_cast<float>(value);
}

/// The norm and the projections of a tensor, called `name` by the script, against a row, within `tolerance` of its norm
/// (of `floor` where that is more: the gradient of a bias before a batch norm is 0 but for rounding).
inline void expect_oracle(const OracleRows& rows, const std::string& key, const std::string& name, const View& view,
                          double tolerance, double floor = 0) {
  ASSERT_EQ(rows.count(key), 1u) << key;
  const Numbers& row = rows.at(key);
  const double size = tolerance * std::max(row[0], floor);
  double squares = 0;
  for (int64_t i = 0; i < view.shape.count(); ++i) squares += element(view, i) * element(view, i);
  EXPECT_NEAR(std::sqrt(squares), row[0], size) << key;
  for (size_t j = 1; j < row.size(); ++j) {
    const Random random = oracle_stream(format("projection {} {}", j - 1, name));
    double sum = 0;
    for (int64_t i = 0; i < view.shape.count(); ++i) sum += element(view, i) * random.normal(static_cast<uint64_t>(i));
    EXPECT_NEAR(sum, row[j], 4 * size) << key << ", projection " << j - 1;
  }
}

}  // namespace pixelwise
