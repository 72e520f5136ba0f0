"""What every section starts from: the base, its tables, and a record of what went over the wire."""

import re
import time
from urllib.parse import urlsplit, urlunsplit

import requests
from pyairtable import Api
from requests.adapters import HTTPAdapter

BASE = "appWorkshop000000"
PARTS = "tblParts000000000"
SUPPLIERS = "Suppliers / EU"
PATIENCE = 20


def part(number):
    return f"recPart{number:02}00000000"


class Rehost(HTTPAdapter):
    """Sends what is meant for content.airtable.com, which pyairtable has built in, to our address."""

    def __init__(self, endpoint):
        super().__init__()
        self.address = urlsplit(endpoint)

    def send(self, request, **more):
        url = urlsplit(request.url)
        request.url = urlunsplit((self.address.scheme, self.address.netloc, url.path, url.query, ""))
        return super().send(request, **more)


class Workshop:
    def __init__(self, endpoint, token):
        self.endpoint = endpoint
        self.token = token
        self.wire = []
        self.api = self.connect()
        self.base = self.api.base(BASE)
        self.parts = self.base.table("Parts")
        self.suppliers = self.base.table(SUPPLIERS)

    def connect(self, **options):
        """A client of its own; what it sends is noted in `wire` as method and address."""
        api = Api(self.token, endpoint_url=self.endpoint, **options)
        api.session.mount("http://content.airtable.com", Rehost(self.endpoint))
        api.session.hooks["response"].append(
            lambda response, *_, **__: self.wire.append((response.request.method, response.request.url))
        )
        return api

    def sent(self, act):
        """What `act` gives, and the requests it made."""
        before = len(self.wire)
        return act(), self.wire[before:]


def refused(act, status, error):
    """`act` fails with this status (or one of several) and error: a bare word, or a type and a pattern of the message."""
    try:
        act()
    except requests.HTTPError as fault:
        answer = fault.response
        statuses = status if isinstance(status, tuple) else (status,)
        assert answer.status_code in statuses, (answer.status_code, answer.text)
        assert answer.headers["content-type"].startswith("application/json"), answer.headers
        body = answer.json()
        if isinstance(error, tuple):
            kind, message = error
            assert set(body) == {"error"} and body["error"]["type"] == kind, body
            assert message is None or re.search(message, body["error"]["message"]), body
        elif error is not None:
            assert body == {"error": error}, body
        return fault
    raise AssertionError(f"was not refused with {status} {error}")


def until(condition, what):
    """Asks until the answer is true."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
    return answer
