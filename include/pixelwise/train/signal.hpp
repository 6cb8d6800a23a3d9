// Ctrl-C and SIGTERM end a training after the step at hand, so that it can be saved.
#pragma once

namespace pixelwise {

/// From now on SIGINT and SIGTERM are only remembered; a second one ends the process at once, with exit code
/// 128 + signal number.
void catch_stop_signals();
/// The signal that asked to stop (2 or 15), or 0. Exit with 128 + this after saving.
int stop_signal();
/// Forgets it (tests).
void clear_stop_signal();

}  // namespace pixelwise
