#include "pixelwise/core/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace pixelwise {
namespace {

class ParallelFor : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(2); }
};

TEST_P(ParallelFor, RunsEveryChunkOnce) {
  for (const int64_t chunks : {0, 1, 2, 3, 100}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(chunks));
    parallel_for(chunks, [&](int64_t chunk, int thread) {
      ++seen[static_cast<size_t>(chunk)];
      EXPECT_GE(thread, 0);
      EXPECT_LT(thread, GetParam());
    });
    for (const auto& count : seen) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelFor, NestedCallsRunSerially) {
  std::atomic<int> total{0};
  parallel_for(4, [&](int64_t, int) {
    parallel_for(5, [&](int64_t, int thread) {
      EXPECT_EQ(thread, 0);
      ++total;
    });
  });
  EXPECT_EQ(total, 20);
}

TEST_P(ParallelFor, RethrowsAndWorksAfterwards) {
  EXPECT_THROW(parallel_for(10,
                            [](int64_t chunk, int) {
                              if (chunk == 3) throw std::runtime_error("three");
                            }),
               std::runtime_error);
  std::atomic<int> total{0};
  parallel_for(10, [&](int64_t, int) { ++total; });
  EXPECT_EQ(total, 10);
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelFor, testing::Values(1, 2, 3, 7));

}  // namespace
}  // namespace pixelwise
