"""An application in Python with gripcontrol. It holds a stream for each request that comes through Gripwire, and publishes the
lines of standard input."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gripcontrol import Channel, GripPubControl, Response, create_hold, validate_sig


class Application(BaseHTTPRequestHandler):
    def do_GET(self):
        if not validate_sig(self.headers["Grip-Sig"], "changeme"):
            return self.send_error(403)
        opening = Response(headers={"Content-Type": "text/plain"}, body="opened\n")
        body = create_hold("stream", [Channel("library")], opening).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/grip-instruct")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)

for line in sys.stdin:
    control, message = line.split()
    publisher = GripPubControl({"control_uri": control})
    publisher.publish_http_stream("library", message + "\n", blocking=True)
