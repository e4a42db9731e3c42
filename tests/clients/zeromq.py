"""A publisher in Python with pubcontrol that speaks ZeroMQ: asks the command socket where to publish, then does so by PUSH
and, when it is told to go on and the channel is seen to have a subscriber, by PUB."""

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
