#include "pixelwise/data/loader.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>

#include "pixelwise/core/checked.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {

struct Loader::Impl {
  const Dataset& dataset;
  LoaderOptions options;
  int64_t next_wanted;  // the batch that next() gives
  int64_t next_begun;   // the batch that a worker begins

  struct Prepared {
    Batch batch;
    std::exception_ptr failure;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int64_t, Prepared> prepared;
  bool stop = false;
  std::exception_ptr broken;    // a worker had no memory even to say what it met
  std::vector<Worker> workers;  // last: joined before the rest goes

  Impl(const Dataset& d, const LoaderOptions& o, int64_t first)
      : dataset(d), options(o), next_wanted(first), next_begun(first) {
    if (dataset.size() < 1) throw DataError("the dataset is empty: wanted at least one sample");
    if (options.batch_size < 1) throw UsageError("batch_size is less than 1");
    try {
      for (int64_t i = 0; i < options.workers; ++i) workers.emplace_back([this] { work(); });
    } catch (...) {  // a thread could not be started: those that were wait for work
      stop_workers();
      throw;
    }
  }
  ~Impl() { stop_workers(); }

  void stop_workers() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
  }

  int64_t batches_per_epoch() const {
    const int64_t size = dataset.size(), batch = options.batch_size;
    return options.drop_last ? std::max<int64_t>(1, size / batch) : ceil_div(size, batch);
  }

  // The order of an epoch (Fisher, Yates).
  std::vector<int64_t> order(int64_t epoch) const {
    std::vector<int64_t> indices(static_cast<size_t>(dataset.size()));
    std::iota(indices.begin(), indices.end(), 0);
    if (!options.shuffle) return indices;
    const Random random(options.seed, "order", static_cast<uint64_t>(epoch));
    for (size_t i = indices.size() - 1; i > 0; --i) std::swap(indices[i], indices[random.below(i, i + 1)]);
    return indices;
  }

  Batch prepare(int64_t step) const {
    Batch batch{step / batches_per_epoch(), step, {}};
    const std::vector<int64_t> indices = order(batch.epoch);
    const int64_t size = dataset.size(), first = step % batches_per_epoch() * options.batch_size;
    int64_t end = first + options.batch_size;
    if (!options.drop_last) end = std::min(end, size);
    for (int64_t position = first; position < end; ++position) {
      const int64_t index = indices[static_cast<size_t>(position % size)];  // a small dataset is wrapped around
      const Random random(options.seed, "augment", static_cast<uint64_t>(batch.epoch),
                          static_cast<uint64_t>(position / size), static_cast<uint64_t>(index));
      batch.samples.push_back(
          augment(dataset.read(index), options.augment, options.ignore_label, options.normalize, random));
    }
    return batch;
  }

  // A worker's life: begin the next batch, at most workers + 1 ahead of the one that is wanted.
  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || next_begun <= next_wanted + options.workers; });
      if (stop) return;
      const int64_t step = next_begun++;
      lock.unlock();
      std::map<int64_t, Prepared> result;  // its node moves over to `prepared` without another allocation
      std::exception_ptr failure;
      try {
        Prepared& slot = result[step];  // first: what prepare() throws belongs to this batch, not to the worker
        slot.batch = prepare(step);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (result.empty()) {
        broken = failure;
      } else {
        result[step].failure = failure;
        prepared.merge(result);
      }
      changed.notify_all();
      if (broken) return;
    }
  }

  Batch next() {
    if (workers.empty()) return prepare(next_wanted++);
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return broken || prepared.contains(next_wanted); });
    if (broken) std::rethrow_exception(broken);
    const auto found = prepared.find(next_wanted);
    if (found->second.failure) std::rethrow_exception(found->second.failure);
    Batch batch = std::move(found->second.batch);
    prepared.erase(found);
    ++next_wanted;
    changed.notify_all();
    return batch;
  }
};

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_step)
    : impl_(std::make_unique<Impl>(dataset, options, first_step)) {}
Loader::~Loader() = default;
int64_t Loader::batches_per_epoch() const { return impl_->batches_per_epoch(); }
Batch Loader::next() { return impl_->next(); }

}  // namespace pixelwise
