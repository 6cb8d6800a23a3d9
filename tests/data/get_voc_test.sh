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
