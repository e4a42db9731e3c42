"""A Django application with django-eventstream, which keeps its events in a database. It serves a page with an EventSource, and
sends the lines of standard input as events. The first line is the URI of Gripwire's control port."""

import socketserver
import sys
import tempfile
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path

PAGE = """<!doctype html><title>django-eventstream</title><ul id="events"></ul><script>
const source = new EventSource("/events/");
source.addEventListener("message", event => {
  const item = document.createElement("li");
  item.textContent = event.lastEventId + " " + JSON.parse(event.data).text;
  document.getElementById("events").append(item);
});
source.addEventListener("stream-open", () => document.title = "open");
</script>"""


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


with tempfile.TemporaryDirectory() as folder:
    server = make_server("127.0.0.1", 0, None, ThreadingServer, Quiet)
    print(server.server_port, flush=True)
    control = sys.stdin.readline().strip()
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/events"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.DjangoModelStorage",
        GRIP_PROXIES=[{"control_uri": control, "key": "changeme"}],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_eventstream"],
        MIDDLEWARE=["django_grip.GripMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="a test's",
    )
    django.setup()
    urlpatterns = [
        path("", lambda _: HttpResponse(PAGE)),
        path("events/", include("django_eventstream.urls"), {"channels": ["news"]}),
    ]
    call_command("migrate", verbosity=0)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)

    from django_eventstream import send_event

    for line in sys.stdin:
        send_event("news", "message", {"text": line.strip()}, async_publish=False)
        print("sent", flush=True)
