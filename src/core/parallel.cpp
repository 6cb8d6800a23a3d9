#include "pixelwise/core/parallel.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

#ifdef PIXELWISE_OPENMP
#include <omp.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace pixelwise {
namespace {

int default_threads() {
  for (const char* name : {"PIXELWISE_THREADS", "OMP_NUM_THREADS"}) {
    const char* text = std::getenv(name);
    if (text && std::atoi(text) > 0) return std::min(std::atoi(text), 1024);
  }
#ifdef PIXELWISE_OPENMP
  return omp_get_num_procs();  // of this process, also where OpenMP has bound this thread to one of them
#else
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) return std::max(1, CPU_COUNT(&cpus));
  return std::max(1u, std::thread::hardware_concurrency());
#endif
}

std::atomic<int> wanted_threads{0};
thread_local bool inside = false;

// One thread's share: takes the next chunk until there is none.
class Team {
 public:
  Team(int64_t chunks, ChunkFunction fn) : chunks_(chunks), fn_(fn) {}

  void work(int thread) {
    inside = true;
    for (int64_t chunk; (chunk = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) {
      try {
        fn_(chunk, thread);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        next_ = chunks_;
      }
    }
    inside = false;
#ifdef __SSE__
    _mm_sfence();  // kernels may have written past the caches
#endif
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  int64_t chunks_;
  ChunkFunction fn_;
  std::atomic<int64_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

// OpenMP ends the program where a thread cannot be started. As many as it will start for this thread are therefore
// started once before: then it is an error like any other.
void try_threads(int threads) {
  thread_local int tried = 1;
  if (threads <= tried) return;
  std::latch all_started(1);
  std::vector<Worker> others;
  try {
    for (int thread = 1; thread < threads; ++thread) others.emplace_back([&] { all_started.wait(); });
  } catch (...) {
    all_started.count_down();
    throw;
  }
  all_started.count_down();
  tried = threads;
}

}  // namespace

int thread_count() {
  int threads = wanted_threads.load(std::memory_order_relaxed);
  if (threads == 0) wanted_threads = threads = default_threads();
  return threads;
}

void set_thread_count(int threads) { wanted_threads = std::max(1, threads); }

void parallel_for(int64_t chunks, ChunkFunction fn) {
  const int threads = thread_count();
  if (threads <= 1 || chunks <= 1 || inside) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) fn(chunk, 0);
    return;
  }
  try_threads(threads);
  Team team(chunks, fn);
#ifdef PIXELWISE_OPENMP
  // All threads, also where there are fewer chunks: libgomp ends those of a smaller team, and starts them again.
#pragma omp parallel num_threads(threads)
  team.work(omp_get_thread_num());
#else
  std::vector<Worker> others;  // joined where one of them cannot be started, too
  for (int thread = 1; thread < threads; ++thread) others.emplace_back([&team, thread] { team.work(thread); });
  team.work(0);
  others.clear();
#endif
  team.rethrow();
}

#ifdef PIXELWISE_OPENMP
// Where OMP_PROC_BIND or OMP_PLACES is set, OpenMP has already bound this thread to the first of its places. A program
// that starts now would believe that there are no others.
static void unbind() {
  if (omp_get_num_places() == 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  std::vector<int> place;
  for (int i = 0; i < omp_get_num_places(); ++i) {
    place.resize(static_cast<size_t>(omp_get_place_num_procs(i)));
    omp_get_place_proc_ids(i, place.data());
    for (const int cpu : place) CPU_SET(static_cast<size_t>(cpu), &cpus);
  }
  sched_setaffinity(0, sizeof cpus, &cpus);
}
#endif

void restart_with_patient_threads([[maybe_unused]] char** argv) {
#ifdef PIXELWISE_OPENMP
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}) {
    if (std::getenv(name)) return;
  }
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) return;
  path[length] = '\0';
  unbind();
  setenv("GOMP_SPINCOUNT", "1000", 1);
  setenv("KMP_BLOCKTIME", "0", 1);
  execv(path, argv);  // returns only where it fails: then the program goes on as it is
#endif
}

struct Worker::Impl {
  std::thread thread;
};

Worker::Worker(std::function<void()> fn) : impl_(std::make_unique<Impl>()) {
  try {
    impl_->thread = std::thread(std::move(fn));
  } catch (const std::system_error& error) {
    throw ResourceError(format("cannot start a thread: {}: use fewer (PIXELWISE_THREADS, data.workers)", error.what()));
  }
}
Worker::~Worker() {
  if (impl_ && impl_->thread.joinable()) impl_->thread.join();
}
Worker::Worker(Worker&&) noexcept = default;

}  // namespace pixelwise
