#include "pixelwise/train/signal.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace pixelwise {
namespace {

std::atomic<int> caught{0};  // any thread may be the one that the signal interrupts
static_assert(std::atomic<int>::is_always_lock_free, "a handler must not wait for a lock");

void on_signal(int number) {
  if (caught.exchange(number)) _exit(128 + number);  // the only way out that is safe in a handler
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes at hand go on
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_signal() { return caught; }
void clear_stop_signal() { caught = 0; }

}  // namespace pixelwise
