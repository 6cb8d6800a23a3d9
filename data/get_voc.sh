#!/usr/bin/env bash
# Fetches PASCAL VOC 2012 into data/VOCdevkit: resumes where it was cut off, checks size and checksum, then extracts.
# VOC_URL, VOC_MD5, VOC_BYTES and VOC_DIR override where from, what, and where to.
set -euo pipefail

url=${VOC_URL:-http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar}
md5=${VOC_MD5:-6cd6e144f989b92b3379bac3b3de84fd}
bytes=${VOC_BYTES:-1999639040}
folder=${VOC_DIR:-$(dirname "$0")}

mkdir -p "$folder"
archive=$folder/$(basename "$url")
size() { stat -c %s "$archive" 2>/dev/null || echo 0; }
free=$(($(df --output=avail -k "$folder" | tail -1) * 1024))
needed=$((2 * bytes - $(size)))  # the rest of the archive, and what is in it
((free > needed)) || { echo "get_voc: $folder has $free bytes free, $needed are needed" >&2; exit 4; }

if (($(size) < bytes)); then
  echo "get_voc: fetching $url ($bytes bytes, $(size) there already)" >&2
  if command -v curl >/dev/null; then
    curl --fail --location --continue-at - --output "$archive" "$url"
  else
    wget --continue --output-document "$archive" "$url"
  fi
fi
if [[ $(size) != "$bytes" ]] || ! md5sum "$archive" | grep -q "^$md5 "; then
  echo "get_voc: $archive has $(size) bytes and checksum $(md5sum "$archive" | cut -d' ' -f1); wanted $bytes and $md5:" \
    "remove it and try again" >&2
  exit 3
fi
tar -xf "$archive" -C "$folder"
echo "get_voc: done: $folder/VOCdevkit"
