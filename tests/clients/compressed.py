"""A WebSocket client whose messages are compressed. It makes the demo publish a long message, and checks that
the message comes back compressed."""

import json
import sys

from websockets.sync.client import connect

with connect(sys.argv[1]) as socket:
    (extension,) = socket.protocol.extensions
    assert extension.remote_no_context_takeover and extension.local_no_context_takeover
    compressed, decode = [], extension.decode
    extension.decode = lambda frame, **limits: compressed.append(frame.rsv1) or decode(frame, **limits)
    assert socket.recv() == "held"
    message = "again and " * 1000
    socket.send(json.dumps({"message": message}))
    assert json.loads(socket.recv())["text"] == message
    assert compressed[-1]
print("a long message came back compressed")
