"""Answers as an idle vLLM does: ready, nothing running."""

from http.server import BaseHTTPRequestHandler, HTTPServer

METRICS = b"vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\n"


class Idle(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            self.wfile.write(METRICS)


HTTPServer(("127.0.0.1", 8000), Idle).serve_forever()
