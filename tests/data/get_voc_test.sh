#!/usr/bin/env bash
# data/get_voc.sh against a small stand-in: fetches, resumes, refuses a wrong checksum. Skipped (77) without curl.
set -euo pipefail
command -v curl >/dev/null || exit 77
script=$1/data/get_voc.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

mkdir -p "$scratch/VOCdevkit/VOC2012/JPEGImages" "$scratch/server"
head -c 300000 /dev/zero | tr '\0' 'x' >"$scratch/VOCdevkit/VOC2012/JPEGImages/a.jpg"
tar -cf "$scratch/server/voc.tar" -C "$scratch" VOCdevkit
export VOC_URL=file://$scratch/server/voc.tar VOC_BYTES VOC_MD5 VOC_DIR
VOC_BYTES=$(stat -c %s "$scratch/server/voc.tar")
VOC_MD5=$(md5sum "$scratch/server/voc.tar" | cut -d' ' -f1)

VOC_DIR=$scratch/whole "$script" || fail "a fresh download"
cmp "$scratch/VOCdevkit/VOC2012/JPEGImages/a.jpg" "$scratch/whole/VOCdevkit/VOC2012/JPEGImages/a.jpg" || fail "the content"

mkdir "$scratch/half" && head -c 100000 "$scratch/server/voc.tar" >"$scratch/half/voc.tar"
VOC_DIR=$scratch/half "$script" || fail "resuming"

code=0
VOC_MD5=00000000000000000000000000000000 VOC_DIR=$scratch/wrong "$script" 2>"$scratch/log" || code=$?
[[ $code == 3 ]] || fail "a wrong checksum must exit 3, not $code"
grep -q "wanted" "$scratch/log" || fail "the message"

# Room is wanted for what is not there yet: a df that tells less than twice the archive, but enough to go on.
mkdir "$scratch/bin" "$scratch/full" && head -c 200000 "$scratch/server/voc.tar" >"$scratch/full/voc.tar"
printf '#!/bin/sh\nprintf "Avail\\n%%s\\n" %s\n' $(((2 * VOC_BYTES - 100000) / 1024)) >"$scratch/bin/df"
chmod +x "$scratch/bin/df"
PATH=$scratch/bin:$PATH VOC_DIR=$scratch/full "$script" || fail "resuming with room for the rest"
code=0
PATH=$scratch/bin:$PATH VOC_DIR=$scratch/fresh "$script" 2>"$scratch/log" || code=$?
[[ $code == 4 ]] || fail "no room must exit 4, not $code"
