"""Opens a sealed file with OpenTDF's Python library and its key access client: nothing of ours.

kas.py FILE TOKEN SIGNER [altered|key] prints one JSON line: the plaintext's SHA-256 and length, or why not. SIGNER is the PEM of the
private key that signs the request; - takes one that the library makes. With `altered` one bit of the ciphertext in the
file is another one, with `key` one bit of the key that the service gave. kas.py new SIGNER writes such a key and prints
its public half.
"""

import hashlib
import io
import json
import sys
import zipfile

from otdf_python.crypto_utils import CryptoUtils
from otdf_python.kas_client import KASClient
from otdf_python.tdf import TDF, TDFReaderConfig

if sys.argv[1] == "new":
    private, public = CryptoUtils.generate_rsa_keypair()
    with open(sys.argv[2], "w") as out:
        out.write(CryptoUtils.get_rsa_private_key_pem(private))
    print(CryptoUtils.get_rsa_public_key_pem(public))
    sys.exit()

path, token, signer = sys.argv[1:4]
spoiled = sys.argv[4] if len(sys.argv) > 4 else None
client = KASClient(token_source=lambda: token, use_plaintext=True)
if signer != "-":
    client._dpop_private_key_pem = open(signer).read()


class Services:
    def kas(self):
        return client


why = []
unwrap = client.unwrap


def noted(*args, **named):
    try:
        key = unwrap(*args, **named)
        return bytes([key[0] ^ 1]) + key[1:] if spoiled == "key" else key
    except Exception as error:
        why.append(str(error))
        raise


client.unwrap = noted


def altered(container):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(container)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            held = bytearray(old.read(entry))
            if entry.filename.endswith(".payload"):
                held[len(held) // 2] ^= 1
            new.writestr(entry.filename, bytes(held))
    return out.getvalue()


container = open(path, "rb").read()
if spoiled == "altered":
    container = altered(container)
try:
    opened = TDF(services=Services()).load_tdf(io.BytesIO(container), TDFReaderConfig())
    plain = opened.payload
    print(json.dumps({"sha256": hashlib.sha256(plain).hexdigest(), "bytes": len(plain)}))
except Exception as error:
    print(json.dumps({"refused": " ".join(why) or str(error)}))
