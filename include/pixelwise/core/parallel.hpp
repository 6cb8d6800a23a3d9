// The one place that starts threads.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace pixelwise {

/// Number of threads that parallel_for uses: set_thread_count, else PIXELWISE_THREADS, else OMP_NUM_THREADS, else the
/// cores that this process may run on.
int thread_count();
void set_thread_count(int threads);

/// A reference to a callable, without allocation; valid during the call it is passed to.
class ChunkFunction {
 public:
  template <class F>
  ChunkFunction(const F& f)  // NOLINT: implicit, so that a lambda can be passed
      : object_(&f),
        call_([](const void* object, int64_t chunk, int thread) { (*static_cast<const F*>(object))(chunk, thread); }) {}
  void operator()(int64_t chunk, int thread) const { call_(object_, chunk, thread); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int);
};

/// Calls fn(chunk, thread) once for every chunk in [0, chunks), in any order, on up to thread_count() threads;
/// thread in [0, thread_count()) tells scratch apart. Chunks must depend on shapes only, never on the number of
/// threads, and write disjoint memory: then the bits do not depend on it either. Nested calls run serially. The first
/// exception that a chunk throws is rethrown in the caller. ResourceError where the threads cannot be started.
void parallel_for(int64_t chunks, ChunkFunction fn);

/// To be called first in a program's main. OpenMP's threads wait busily, for milliseconds, by default; where two such
/// programs share a machine, they take the processors from those they wait for, and both stand still. GCC's and Clang's
/// OpenMP read how long to wait (GOMP_SPINCOUNT, KMP_BLOCKTIME) before main only: where the user has not set it, this
/// sets it to microseconds and starts the program once more. Programs that call Pixelwise may set the variables
/// instead.
void restart_with_patient_threads(char** argv);

/// A thread for work that is not a kernel (loading images). Joins on destruction; fn must return when told to by
/// whatever it shares with its owner. ResourceError where it cannot be started.
class Worker {
 public:
  explicit Worker(std::function<void()> fn);
  ~Worker();
  Worker(Worker&&) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pixelwise
