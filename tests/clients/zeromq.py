"""A publisher in Python with pubcontrol that speaks ZeroMQ. It asks the command socket for the addresses to publish to, and
publishes by PUSH. After a line on standard input, and when the channel has a subscriber, it publishes by PUB."""

import sys
import threading

from gripcontrol import GripPubControl, HttpStreamFormat
from pubcontrol import Item

command = sys.argv[1]

pusher = GripPubControl({"control_zmq_uri": command})
pusher.publish("library", Item(HttpStreamFormat("pushed\n")), blocking=True)
sys.stdin.readline()

seen = threading.Event()
publisher = GripPubControl(sub_callback=lambda kind, channel: kind == "sub" and seen.set())
publisher.apply_grip_config({"control_zmq_uri": command, "require_subscribers": True})
assert seen.wait(30), "nobody is subscribed"
publisher.publish("library", Item(HttpStreamFormat("published\n")), blocking=True)
sys.stdin.readline()
