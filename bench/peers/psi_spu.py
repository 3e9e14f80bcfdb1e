"""Both parties of an intersection as SecretFlow's published `spu` plays them, each a process of its own, measured.

Usage: psi_spu.py PROTOCOL MINE THEIRS COLUMN OUT, with PROTOCOL one of rr22, rr22-low-comm, ecdh.

Prints one line of JSON: seconds from both programs loaded to both done (Python's start and imports are not counted),
processor seconds of both without those of loading, the peak resident set of each, and the counts that spu reports.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import time


def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def party(role, protocol, addresses, file, column, out):
    import spu
    import spu.libspu.link as link
    import spu.psi as psi

    loaded = used()
    print("loaded", flush=True)
    sys.stdin.readline()
    rank = 0 if role == "receiver" else 1
    desc = link.Desc()
    desc.recv_timeout_ms = 3_600_000
    desc.connect_retry_times = 100
    desc.connect_retry_interval_ms = 50
    for at, address in enumerate(addresses.split(",")):
        desc.add_party(f"p{at}", address)
    context = link.create_brpc(desc, rank)
    kinds = psi.PsiProtocol
    report = psi.psi_execute(
        psi.PsiExecuteConfig(
            protocol_conf=psi.PsiProtocolConfig(
                protocol=kinds.PROTOCOL_ECDH if protocol == "ecdh" else kinds.PROTOCOL_RR22,
                receiver_rank=0,
                ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
                rr22_params=psi.Rr22Rarams(low_comm_mode=protocol == "rr22-low-comm"),
            ),
            input_params=psi.InputParams(path=file, selected_keys=[column], keys_unique=True),
            output_params=psi.OutputParams(path=out, disable_alignment=True),
        ),
        context,
    )
    context.stop_link()
    print(json.dumps({"matched": report.intersection_count, "loading": loaded}), flush=True)


def free():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{it.getsockname()[1]}"


def main(protocol, mine, theirs, column, out):
    addresses = ",".join([free(), free()])
    parties = []
    for role, file in (("receiver", mine), ("sender", theirs)):
        call = [sys.executable, __file__, "--party", role, protocol, addresses, file, column, f"{out}.{role}"]
        pipe = subprocess.PIPE
        parties.append(subprocess.Popen(call, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True))
    for it in parties:
        while it.stdout.readline().strip() != "loaded":
            pass
    began = time.monotonic()
    for it in parties:
        it.stdin.write("go\n")
        it.stdin.flush()
    ends = []
    for it in parties:
        lines = [line for line in it.stdout.read().splitlines() if line.startswith("{")]
        _, status, usage = os.wait4(it.pid, 0)
        if status != 0:
            sys.exit(f"a party ended with {status}")
        end = json.loads(lines[-1])
        end["cpu"] = usage.ru_utime + usage.ru_stime - end.pop("loading")
        end["peak_bytes"] = usage.ru_maxrss * 1024
        ends.append(end)
    print(json.dumps({"seconds": time.monotonic() - began, "receiver": ends[0], "sender": ends[1]}))


if sys.argv[1] == "--party":
    party(*sys.argv[2:])
else:
    main(*sys.argv[1:])
