#!/usr/bin/env bash
# The rules of docs/design.md that a compiler does not check: who may include whom, where threads are started, and that
# public headers name no third-party type. Prints every offence; exits 1 where there is one.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}"
status=0
offence() { [[ -z $2 ]] || { printf '%s\n%s\n' "$1" "$2"; status=1; }; }

declare -A may=(
  [core]="core" [kernels]="core kernels" [nn]="core kernels nn" [models]="core nn models" [io]="core io"
  [data]="core io data" [train]="core nn data io train" [app]="core kernels nn models io data train app")
for layer in "${!may[@]}"; do
  allowed=${may[$layer]// /|}
  folders=()
  for folder in "src/$layer" "include/pixelwise/$layer"; do [[ -d $folder ]] && folders+=("$folder"); done
  offence "$layer may include only: ${may[$layer]}" "$(grep -rnE \
    '#include "(pixelwise/)?(core|kernels|nn|models|io|data|train|app)/' "${folders[@]}" |
    grep -vE "#include \"(pixelwise/)?($allowed)/")"
done
# Models are written with the builder; they reach kernels only through specifications in core.
offence "tools and examples may include only public headers of app and below" \
  "$(grep -nE '#include "' tools/*.cpp examples/*.cpp 2>/dev/null | grep -v '#include "pixelwise/')"
offence "threads are started in src/core/parallel.cpp only" \
  "$(grep -rnE 'pragma omp|std::(j?thread|async)\b' src include tools examples | grep -v '^src/core/parallel.cpp:')"
offence "public headers name no third-party type" \
  "$(grep -rnE '#include [<"](Eigen|png|turbojpeg|jpeglib|stb|nlohmann|CLI|fmt|gtest|omp)|nlohmann::|Eigen::|fmt::|CLI::' include)"
offence "vector kernels include only plain declarations" \
  "$(grep -rnE '#include' src/kernels/vector 2>/dev/null |
     grep -vE '"core/(simd|splitmix).hpp"|"kernels/vector/|"pixelwise/(core/(view|shape|parallel|operators|checked|cpu)|kernels/(kernel|ladder))\.hpp"|<(cstdint|cstddef|cstring|cmath|immintrin\.h)>')"
exit $status
