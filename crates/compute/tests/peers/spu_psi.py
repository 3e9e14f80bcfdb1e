"""One party of an intersection, as SecretFlow's published `spu` plays it: the outside oracle of our adapter's tests.

Usage: spu_psi.py ROLE RANK OWN_ADDRESSES PEER_ADDRESSES FILE KEYS OUT [OPTION..]

ROLE is receiver or sender, or `echo`: link only, say back what comes. RANK is 0 or 1; addresses and KEYS are joined with
commas, one session after the other on one pair of addresses each. Options: `broadcast` (both learn), `fourq` (another
curve), `rr22` (another protocol), `left=RANK` (the left side of the join), `late=SECONDS` (comes so much later),
`chunk=BYTES` (a message that is longer goes in pieces). Prints one line of JSON with the counts that spu reports.
"""

import json
import sys
import time

import spu
import spu.psi as psi


def options(words):
    return dict((word.split("=", 1) + [""])[:2] for word in words)


def linked(rank, own, peer, said):
    desc = spu.libspu.link.Desc()
    desc.brpc_channel_protocol = "h2:grpc"
    desc.recv_timeout_ms = 60_000
    desc.connect_retry_times = 60
    desc.connect_retry_interval_ms = 200
    if "chunk" in said:
        desc.http_max_payload_size = int(said["chunk"])
    for at, address in enumerate((own, peer) if rank == 0 else (peer, own)):
        desc.add_party(f"p{at}", address)
    return spu.libspu.link.create_brpc(desc, rank)


def configured(role, rank, file, keys, out, said):
    protocol = psi.PsiProtocol.PROTOCOL_RR22 if "rr22" in said else psi.PsiProtocol.PROTOCOL_ECDH
    curve = psi.EllipticCurveType.CURVE_FOURQ if "fourq" in said else psi.EllipticCurveType.CURVE_25519
    return psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=protocol,
            receiver_rank=rank if role == "receiver" else 1 - rank,
            broadcast_result="broadcast" in said,
            ecdh_params=psi.EcdhParams(curve=curve),
        ),
        join_conf=psi.ResultJoinConfig(left_side_rank=int(said.get("left", "0"))),
        input_params=psi.InputParams(path=file, selected_keys=keys.split(",")),
        output_params=psi.OutputParams(path=out),
    )


def session(role, rank, own, peer, file, keys, out, said):
    time.sleep(float(said.get("late", "0")))
    link = linked(rank, own, peer, said)
    if role == "echo":
        link.send(1 - rank, link.recv(1 - rank))
        link.stop_link()
        return {}
    report = psi.psi_execute(configured(role, rank, file, keys, out, said), link)
    link.stop_link()
    return {"rows": report.original_count, "common": report.intersection_count}


def main():
    role, rank, own, peer, file, keys, out, *rest = sys.argv[1:]
    for own, peer in zip(own.split(","), peer.split(",")):
        print(json.dumps(session(role, int(rank), own, peer, file, keys, out, options(rest))), flush=True)


main()
