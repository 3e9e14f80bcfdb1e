"""Asks a node's Arrow Flight SQL service as an analyst's script does: plain pyarrow, nothing of ours.

flight.py ENDPOINT TOKEN CA|- SQL... prints one JSON line for each statement: its columns, or how it was refused.
"""

import json
import sys

import pyarrow.flight as flight

endpoint, token, ca = sys.argv[1:4]


def field(tag, value):
    size, n = b"", len(value)
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([tag]) + size + bytes([n]) + value


def command(sql):
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return flight.FlightDescriptor.for_command(field(10, name) + field(18, field(10, sql.encode())))


class Headers(flight.ClientMiddleware):
    seen = {}

    def received_headers(self, headers):
        Headers.seen.update(headers)


class Factory(flight.ClientMiddlewareFactory):
    def start_call(self, info):
        return Headers()


secure = {} if ca == "-" else {"tls_root_certs": open(ca, "rb").read()}
client = flight.FlightClient(endpoint, middleware=[Factory()], **secure)
options = flight.FlightCallOptions(
    timeout=60,
    headers=[(b"authorization", b"Bearer " + token.encode()), (b"accept-language", b"en")],
)
for sql in sys.argv[4:]:
    Headers.seen.clear()
    try:
        info = client.get_flight_info(command(sql), options)
        reader = client.do_get(info.endpoints[0].ticket, options)
        said = {"table": reader.read_all().to_pydict(), "lease": Headers.seen["tidm-lease"][0]}
    except flight.FlightUnauthenticatedError as error:
        said = {"refused": "unauthenticated", "text": str(error)}
    except flight.FlightUnauthorizedError as error:
        said = {"refused": "unauthorized", "text": str(error)}
    print(json.dumps(said))
