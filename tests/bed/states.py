#!/usr/bin/env python3
"""Samples a balancer's own view of its servers: one JSON line {at, servers: {name: {op, admin}}} every --every seconds.

It only ever asks `show servers state`; it changes nothing. A sample that could not be taken is written as an error
line, so a gap in knowledge shows. SIGTERM ends it.

    states.py --socket /run/haproxy.sock --backend app --out states.jsonl [--every 0.1]
"""
import argparse
import json
import signal
import socket
import sys
import time

# The socket is on this host; an answer that takes longer than this is a finding.
ANSWER_SECONDS = 2.0


def sample(path, backend):
    """Columns of `show servers state`: 3 server name, 5 operational state (2 up), 6 administrative state (0 ready)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(path)
        connection.sendall(f"show servers state {backend}\n".encode())
        text = b""
        while chunk := connection.recv(65536):
            text += chunk
    rows = [line.split() for line in text.decode().splitlines()[2:] if line.strip()]
    return {row[3]: {"op": int(row[5]), "admin": int(row[6])} for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", required=True)
    parser.add_argument("--backend", default="app")
    parser.add_argument("--out", required=True)
    parser.add_argument("--every", type=float, default=0.1)
    arguments = parser.parse_args()
    # A plain list: an Event's lock may be held by the very thread that the signal interrupts.
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    with open(arguments.out, "w", buffering=1) as out:
        while True:
            time.sleep(arguments.every)
            if stop:
                break
            line = {"at": time.time()}
            try:
                line["servers"] = sample(arguments.socket, arguments.backend)
            except (OSError, ValueError, IndexError) as error:
                line["error"] = f"{type(error).__name__}: {error}"
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
