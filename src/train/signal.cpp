#include "pixelwise/train/signal.hpp"

#include <signal.h>
#include <unistd.h>

namespace pixelwise {
namespace {

volatile sig_atomic_t caught = 0;

void on_signal(int number) {
  if (caught) _exit(128 + number);  // the only way out that is safe in a handler
  caught = number;
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
