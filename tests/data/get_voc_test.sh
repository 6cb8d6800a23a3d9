#!/usr/bin/env bash
# data/get_voc.sh against a local server with a small stand-in: fetches, resumes, refuses a wrong checksum; with curl, and
# with wget where that is there too. Skipped (77) without perl, which is the server, and without either of them.
set -euo pipefail
command -v perl >/dev/null || exit 77
command -v curl >/dev/null || command -v wget >/dev/null || exit 77
script=$1/data/get_voc.sh
scratch=$(mktemp -d)
server=""
trap '[[ -z $server ]] || kill "$server"; rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

mkdir -p "$scratch/VOCdevkit/VOC2012/JPEGImages" "$scratch/server"
head -c 300000 /dev/zero | tr '\0' 'x' >"$scratch/VOCdevkit/VOC2012/JPEGImages/a.jpg"
tar -cf "$scratch/server/voc.tar" -C "$scratch" VOCdevkit

# A server that can begin in the middle, as the devkit's. It writes its port, and for each request where it began.
cat >"$scratch/serve.pl" <<'PERL'
use IO::Socket::INET;
my ($path, $port, $requests) = @ARGV;
sub note { open my $out, ">>", $_[0] or die; print $out "$_[1]\n"; close $out }
open my $file, "<:raw", $path or die;
my $size = -s $path;
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die;
note($port, $server->sockport);
while (my $client = $server->accept) {
  my $first = 0;
  while (<$client>) { $first = $1 if /^Range: bytes=(\d+)-/i; last if /^\r?$/ }
  note($requests, $first);
  seek $file, $first, 0;
  read $file, my $rest, $size;
  print $client $first ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes $first-" . ($size - 1) . "/$size\r\n"
                       : "HTTP/1.1 200 OK\r\n";
  print $client "Content-Length: " . length($rest) . "\r\nConnection: close\r\n\r\n$rest";
  close $client;
}
PERL
perl "$scratch/serve.pl" "$scratch/server/voc.tar" "$scratch/port" "$scratch/requests" &
server=$!
for _ in {1..100}; do [[ -s $scratch/port ]] && break; sleep 0.1; done
export VOC_URL=http://127.0.0.1:$(<"$scratch/port")/voc.tar VOC_BYTES VOC_MD5 VOC_DIR no_proxy=127.0.0.1
VOC_BYTES=$(stat -c %s "$scratch/server/voc.tar")
VOC_MD5=$(md5sum "$scratch/server/voc.tar" | cut -d' ' -f1)

# fetches PATH: all, and the rest after the first 100000 bytes.
fetches() {
  local folder photo=VOCdevkit/VOC2012/JPEGImages/a.jpg
  rm -rf "$scratch/all" "$scratch/rest" && mkdir "$scratch/rest"
  head -c 100000 "$scratch/server/voc.tar" >"$scratch/rest/voc.tar"
  for folder in all rest; do
    PATH=$1 VOC_DIR=$scratch/$folder "$script" || fail "fetching $folder"
    cmp "$scratch/$photo" "$scratch/$folder/$photo" || fail "the content of $folder"
  done
  [[ $(tail -2 "$scratch/requests" | tr '\n' ' ') == "0 100000 " ]] || fail "what is there must not be fetched again"
}
fetches "$PATH"
if command -v wget >/dev/null; then  # as on a machine without curl
  mkdir "$scratch/tools"
  for tool in basename bash cut df dirname env grep md5sum mkdir stat tail tar wget; do
    ln -s "$(command -v $tool)" "$scratch/tools/$tool"
  done
  fetches "$scratch/tools"
fi

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
