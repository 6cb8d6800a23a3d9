#include "pixelwise/train/signal.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace pixelwise {
namespace {

// Signals end the process, or might: each test runs in a process of its own, without threads from other tests.
class Signal : public testing::Test {
 protected:
  Signal() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

TEST_F(Signal, TheFirstIsRemembered) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        const int before = stop_signal();
        raise(SIGTERM);
        const bool remembered = before == 0 && stop_signal() == SIGTERM;
        clear_stop_signal();
        _exit(remembered && stop_signal() == 0 ? 7 : 1);
      },
      testing::ExitedWithCode(7), "");
}

TEST_F(Signal, TheSecondEndsTheProcess) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        raise(SIGTERM);
        raise(SIGINT);
        _exit(1);
      },
      testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace pixelwise
