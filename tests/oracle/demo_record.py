#!/usr/bin/env python3
"""Makes the recorded healthy demo that the invariants' unit tests change one thing of at a time.

    lockkeeper demo --keep DIR
    python3 tests/oracle/demo_record.py --keep DIR > coordinator/cli/src/demo/invariants/healthy.json

Thins out requests and writes, shortens evidence, and replaces the machine's own paths.
"""

import argparse
import json
import pathlib
import sqlite3

EVERY = 60


def events(path, kind=None):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if kind is None or line["event"] == kind]


def only(line, *keys):
    return {key: line[key] for key in keys}


def record(keep):
    plan = json.loads((keep / "operator/demo.plan").read_text(encoding="utf-8"))
    rollout = json.loads((keep / "status.json").read_text(encoding="utf-8"))["rollout"]
    for step in rollout["steps"]:
        step["text"] = step["text"].splitlines()[-1][:40] if step["text"] else ""
    members = sorted(plan["bound"]["members"])
    apps = {}
    for member in members:
        lines = events(keep / f"app-{member}.log")
        apps[member] = [line for line in lines if line["event"] != "upgrade-progress"]
    servers, last = [], {}
    for line in events(keep / "balancer.log", "state"):
        state = only(line, "server", "admin_bits", "op")
        if last.get(line["server"]) != state:
            servers.append({"at": line["at"], **state})
            last[line["server"]] = state
    requests = events(keep / "client.log", "request")
    for request in requests:
        del request["event"]
    database = sqlite3.connect((keep / "db/current").resolve(strict=True))
    database.row_factory = sqlite3.Row
    rows = database.execute("select id, at, member, pid, version, token, what from audit order by id")
    audit = [dict(row) for row in rows]
    begin = next(row["id"] for row in audit if row["what"] == "upgrade-begin")
    return {
        "plan": plan,
        "rollout": rollout,
        "apps": apps,
        "servers": servers,
        "passed": [only(line, "start", "end", "server", "status") for line in events(keep / "balancer.log", "request")[::EVERY]],
        "requests": requests[::EVERY],
        "audit": [row for row in audit if row["what"] != "write" or row["id"] == begin - 1 or row["id"] % EVERY == 0],
        "from": min(request["scheduled_at"] for request in requests),
        "to": max(request["done_at"] for request in requests),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keep", required=True, type=pathlib.Path)
    keep = parser.parse_args().keep.resolve()
    found = record(keep)
    text = json.dumps(found, indent=None, separators=(",", ":"))
    program = next(step["action"]["command"]["argv"][0] for step in found["plan"]["steps"] if step["action"]["do"] == "upgrade-database")
    print(text.replace(program, "/usr/bin/lockkeeper").replace(str(keep), "/srv/demo"))


if __name__ == "__main__":
    main()
