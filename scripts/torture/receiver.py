"""A receiver of callbacks that counts what comes for each run, and is at times in a bad mood."""

import random
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class CallbackReceiver:
    """Answers 204; one request in ten is refused, and one in fifty has no answer in time."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        """Successes by run."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take one callback."""
                self.rfile.read(int(self.headers["content-length"]))
                mood = random.random()
                if mood < 0.02:
                    time.sleep(1.5)
                    return
                self.send_response(503 if mood < 0.12 else 204)
                self.end_headers()
                if mood >= 0.12:
                    receiver.answered[self.path.strip("/")] += 1

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
