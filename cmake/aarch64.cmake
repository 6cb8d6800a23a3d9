# Compiles for 64-bit ARM on an x86-64 Debian 12: tools/setup.sh --aarch64 installs the compiler, the libraries (as a second
# architecture) and QEMU, which runs the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
