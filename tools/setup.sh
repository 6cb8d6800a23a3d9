#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that Pixelwise builds with. Does nothing where they are all there. --clang: also
# those of tools/fuzz.sh. --onednn: also that of tools/compare/layers.sh. --aarch64 (Debian): also a compiler and libraries
# for 64-bit ARM, and QEMU to run the tests.
set -euo pipefail

packages=(g++ cmake ninja-build ccache libeigen3-dev libpng-dev libturbojpeg0-dev libstb-dev
          nlohmann-json3-dev libcli11-dev libfmt-dev libgtest-dev clang-format)
if [[ ${1:-} == --clang ]]; then
  packages+=(clang)
  # The sanitizers' runtimes: a package of their own in Debian 12, part of what clang depends on in Ubuntu 22.04.
  if apt-cache show libclang-rt-14-dev >/dev/null 2>&1; then packages+=(libclang-rt-14-dev); fi
fi

if [[ ${1:-} == --aarch64 ]]; then
  packages+=(g++-aarch64-linux-gnu qemu-user libgomp1:arm64)
  for library in fmt-dev gtest-dev png-dev stb-dev turbojpeg0-dev; do packages+=("lib$library:arm64"); done
fi
if [[ ${1:-} == --onednn ]]; then packages+=(libdnnl-dev); fi

missing=()
for package in "${packages[@]}"; do  # a line for each architecture that a library is installed for
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -x installed >/dev/null || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if [[ $(id -u) != 0 ]]; then
  command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
if [[ ${missing[*]} == *:arm64* ]]; then "${as_root[@]}" dpkg --add-architecture arm64; fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
