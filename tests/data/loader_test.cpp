#include "pixelwise/data/loader.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

class Numbers : public Dataset {
 public:
  explicit Numbers(int64_t size, int64_t broken = -1) : size_(size), broken_(broken) {}
  int64_t size() const override { return size_; }
  std::string id(int64_t index) const override { return std::to_string(index); }
  Sample read(int64_t index) const override {
    ++reads;
    if (index == broken_) {
      met_broken = true;
      met_broken.notify_all();
      throw DataError("photo " + id(index) + " is broken");
    }
    Sample sample{id(index), Image(6, 6, 3), Image(6, 6, 1)};
    for (size_t i = 0; i < sample.photo.pixels.size(); ++i) sample.photo.pixels[i] = static_cast<uint8_t>(i + 7);
    return sample;
  }
  mutable std::atomic<int> reads = 0;
  mutable std::atomic<bool> met_broken = false;

 private:
  int64_t size_, broken_;
};

LoaderOptions some_options(int64_t workers) {
  LoaderOptions options;
  options.workers = workers;
  options.augment.crop = {4, 4}, options.augment.flip = 0.5;
  return options;
}

std::vector<std::string> ids(const Batch& batch) {
  std::vector<std::string> list;
  for (const Sample& sample : batch.samples) list.push_back(sample.id);
  return list;
}

TEST(Loader, WorkersChangeNothing) {
  const Numbers numbers(11);
  Loader alone(numbers, some_options(0)), one(numbers, some_options(1)), three(numbers, some_options(3));
  for (int64_t step = 0; step < 9; ++step) {
    const Batch a = alone.next(), b = one.next(), c = three.next();
    EXPECT_EQ(a.step, step);
    EXPECT_EQ(a.epoch, step / 2);
    for (const Batch* other : {&b, &c}) {
      EXPECT_EQ(other->step, step);
      EXPECT_EQ(other->epoch, a.epoch);
      EXPECT_EQ(ids(*other), ids(a));
      for (size_t i = 0; i < a.samples.size(); ++i)
        EXPECT_EQ(other->samples[i].photo.pixels, a.samples[i].photo.pixels);
    }
  }
}

TEST(Loader, ResumesInMidEpoch) {
  const Numbers numbers(11);
  Loader whole(numbers, some_options(2)), resumed(numbers, some_options(2), 3);
  for (int i = 0; i < 3; ++i) whole.next();
  for (int i = 0; i < 5; ++i) {
    const Batch a = whole.next(), b = resumed.next();
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(ids(a), ids(b));
    EXPECT_EQ(a.samples[0].photo.pixels, b.samples[0].photo.pixels);
  }
}

TEST(Loader, AnEpochShowsEverySampleOnceInAnOrderOfItsOwn) {
  const Numbers numbers(12);
  Loader loader(numbers, some_options(1));
  ASSERT_EQ(loader.batches_per_epoch(), 3);
  std::vector<std::vector<std::string>> epochs(2);
  for (auto& epoch : epochs) {
    for (int i = 0; i < 3; ++i) {
      for (const std::string& id : ids(loader.next())) epoch.push_back(id);
    }
    EXPECT_EQ(std::set<std::string>(epoch.begin(), epoch.end()).size(), 12u);
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(Loader, PartialBatchesAndSmallDatasets) {
  const Numbers numbers(6);
  LoaderOptions options = some_options(0);
  EXPECT_EQ(Loader(numbers, options).batches_per_epoch(), 1);
  options.drop_last = false, options.shuffle = false;
  Loader all(numbers, options);
  EXPECT_EQ(all.batches_per_epoch(), 2);
  EXPECT_EQ(ids(all.next()), (std::vector<std::string>{"0", "1", "2", "3"}));
  EXPECT_EQ(ids(all.next()), (std::vector<std::string>{"4", "5"}));
  options.drop_last = true;
  const Numbers three(3);
  Loader wrapped(three, options);
  const Batch batch = wrapped.next();
  EXPECT_EQ(ids(batch), (std::vector<std::string>{"0", "1", "2", "0"}));
  EXPECT_EQ(wrapped.next().epoch, 1);
}

// Memory is bounded: however slowly batches are taken, one more than there are workers is the most that is prepared.
TEST(Loader, StaysAFewBatchesAhead) {
  const Numbers numbers(1000);
  Loader loader(numbers, some_options(2));
  for (int taken = 0; taken < 5; ++taken) {
    const int most = 4 * (taken + 3);  // photos of the batches that were taken, and of three more
    while (numbers.reads < most) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // for workers that would go on
    EXPECT_EQ(numbers.reads, most);
    loader.next();
  }
}

TEST(Loader, RethrowsWhatAWorkerMetAtItsBatch) {
  LoaderOptions options = some_options(2);
  options.shuffle = false;
  for (int round = 0; round < 50; ++round) {  // the workers meet it before, while and after the first batch is taken
    const Numbers numbers(8, 5);
    Loader loader(numbers, options);
    if (round % 2 == 0) numbers.met_broken.wait(false);
    EXPECT_EQ(ids(loader.next())[0], "0");
    try {
      loader.next();
      FAIL() << "the second batch holds the broken photo";
    } catch (const DataError& error) {
      EXPECT_EQ(std::string(error.what()), "photo 5 is broken");
    }
  }
}

TEST(Loader, RefusesAnEmptyDataset) { EXPECT_THROW(Loader(Numbers(0), some_options(1)), DataError); }

}  // namespace
}  // namespace pixelwise
