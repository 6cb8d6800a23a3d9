#!/usr/bin/env python3
"""server.py FOLDER PORT_FILE: serves the files of a folder on a free port of this machine, ranges too, as a download asks
for that was cut off; PORT_FILE appears, with the port, when it listens."""
import http.server
import pathlib
import re
import sys

folder, port_file = map(pathlib.Path, sys.argv[1:3])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file = folder / self.path[1:]
        if not file.is_file():
            return self.send_error(404)
        data = file.read_bytes()
        first = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        if first >= len(data):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:])


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    part = port_file.with_suffix(".part")
    part.write_text(str(server.server_port))
    part.rename(port_file)
    server.serve_forever()
