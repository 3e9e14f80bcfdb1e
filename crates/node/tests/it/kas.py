"""Opens a sealed file with OpenTDF's Python library and its key access client: nothing of ours.

kas.py FILE TOKEN prints one JSON line: the plaintext's SHA-256 and length, or why not.
"""

import hashlib
import io
import json
import sys

from otdf_python.kas_client import KASClient
from otdf_python.tdf import TDF, TDFReaderConfig

path, token = sys.argv[1:3]
client = KASClient(token_source=lambda: token, use_plaintext=True)


class Services:
    def kas(self):
        return client


why = []
unwrap = client.unwrap


def noted(*args, **named):
    try:
        return unwrap(*args, **named)
    except Exception as error:
        why.append(str(error))
        raise


client.unwrap = noted
try:
    opened = TDF(services=Services()).load_tdf(io.BytesIO(open(path, "rb").read()), TDFReaderConfig())
    plain = opened.payload
    print(json.dumps({"sha256": hashlib.sha256(plain).hexdigest(), "bytes": len(plain)}))
except Exception as error:
    print(json.dumps({"refused": " ".join(why) or str(error)}))
