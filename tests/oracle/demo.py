#!/usr/bin/env python3
"""Recomputes the figures of a demo from the files it left behind, and compares them with what it reported.

Links and imports nothing of Lockkeeper: only Python's own library. Usage:

    python3 tests/oracle/demo.py --keep DIR

DIR holds result.json (what the demo reported with --json), db/ (db/current points to the live database), one
app-MEMBER.log for each member, balancer.log and client.log. Exit 0: everything agrees. Exit 1: something
differs or a file is missing; the table says what. The definitions:

- A server takes new requests while the balancer's log says admin 0 and op 2 for it.
- An outage is a stretch, during the client's run, in which no server takes new requests.
- A failed request is excused if the time from its sending to its end touches an outage (both ends included,
  stamps are whole milliseconds on one machine's clock).
- An outage's length is the client's: from the last success that ended before it to the first that ended after
  it. Outages with no success between them are counted once.
- A database upgrade is an audit row upgrade-begin and a later upgrade-end of the same member, process, token.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import sqlite3
import sys
import tempfile

# The report computes the outage from the same stamps; it may round to the millisecond and read its own clock
# at the ends of the client's run.
OUTAGE_TOLERANCE_MS = 25

# Notes whose digest is recomputed, spread over all of them; all of them would take many seconds.
DIGESTS = 150


class Broken(Exception):
    """A file that cannot be what the demo wrote."""


def json_lines(path):
    events = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except ValueError as error:
                raise Broken(f"{path.name}, line {number}: {error}") from error
            if event.get("event") == "lines-lost":
                raise Broken(f"{path.name}, line {number}: {event['lost']} lines are missing")
            events.append(event)
    return events


# --- the client ---------------------------------------------------------------------------------------------


def succeeded(request):
    if request["method"] == "POST":
        return request["status"] == 201 and request["id"] is not None
    return request["status"] == 200


def read_client(path):
    events = json_lines(path)
    requests = [event for event in events if event["event"] == "request"]
    ends = [event for event in events if event["event"] == "end"]
    if not requests:
        raise Broken(f"{path.name}: no request in it")
    if not ends:
        raise Broken(f"{path.name}: no end line, the client was killed")
    if ends[-1]["scheduled"] != len(requests) or {r["n"] for r in requests} != set(range(len(requests))):
        raise Broken(f"{path.name}: {ends[-1]['scheduled']} requests were scheduled, {len(requests)} have a line")
    return requests


# --- the outage ---------------------------------------------------------------------------------------------


def outages(states, first, last):
    """The stretches without any server that takes new requests, cut to the client's run."""
    edges = []
    taking = set()
    for state in states:
        had = bool(taking) or not edges
        if state["admin_bits"] == 0 and state["op"] == 2:
            taking.add(state["server"])
        else:
            taking.discard(state["server"])
        if not edges or had != bool(taking):
            edges.append((state["at"], bool(taking)))
    found = []
    for (at, some), (until, _) in zip(edges, edges[1:] + [(None, None)]):
        until = last if until is None else until
        if not some and at <= last and until >= first:
            found.append((max(at, first), min(until, last)))
    return found


def excused(request, stretches):
    return any(not (request["done_at"] < begin or request["sent_at"] > end) for begin, end in stretches)


def outage_ms(requests, stretches):
    successes = sorted(request["done_at"] for request in requests if succeeded(request))
    met = []
    for begin, end in stretches:
        before = [at for at in successes if at <= begin]
        after = [at for at in successes if at >= end]
        met.append((before[-1] if before else begin, after[0] if after else end))
    total, reached = 0, 0
    for begin, end in sorted(met):
        begin = max(begin, reached)
        total += max(0, end - begin)
        reached = max(reached, end)
    return total


# --- the databases ------------------------------------------------------------------------------------------


def read_database(path, scratch):
    """Opens a copy, with its log beside it: looking must not change the evidence."""
    copy = scratch / path.name
    shutil.copyfile(path, copy)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        shutil.copyfile(wal, scratch / (path.name + "-wal"))
    database = sqlite3.connect(copy)
    database.row_factory = sqlite3.Row
    return database


def upgrades(audit):
    """Pairs (begin row, end row)."""
    pairs, begun = [], {}
    for row in audit:
        who = (row["member"], row["pid"], row["token"])
        if row["what"] == "upgrade-begin":
            begun[who] = row
        elif row["what"] == "upgrade-end" and who in begun:
            pairs.append((begun.pop(who), row))
    return pairs


def lost_rows(database, schema, requests):
    """Notes that were seeded or acknowledged and are not there, by id and title."""
    if schema == 1:
        there = {row["id"]: row["text"].split("\n", 1)[0] for row in database.execute("select id, text from notes")}
    else:
        there = {row["id"]: row["title"] for row in database.execute("select id, title from notes")}
    seeded = database.execute("select value from settings where name = 'seeded'").fetchone()[0]
    lost = [f"seeded note {number}" for number in range(1, seeded + 1) if number not in there]
    for request in requests:
        if request["id"] is not None and there.get(request["id"]) != request["title"]:
            lost.append(f"note {request['id']} ({request['title']})")
    return lost


BATCH = 50  # notes the demo's migration rewrites with one commit
GOES_ON = re.compile(r"run \S+ goes on after (\d+) of \d+ of run (\S+)")


def late_writes(keep, scratch, audit):
    """(attempted, landed): commits of upgraders after the next one had taken the database up.

    Attempted: how far a run is in the file that was cut off, less how far it was when its successor began. Landed: rows
    of an earlier run's process in the live database after a later run began.
    """
    taken_up = {}
    for path in keep.glob("app-*.log"):
        for line in json_lines(path):
            if line["event"] == "upgrade-begin" and (match := GOES_ON.match(line["text"])):
                taken_up[match[2]] = int(match[1])
    diverted = 0
    for path in sorted((keep / "db").glob("*.fenced")):
        if path.read_bytes()[:15] != b"SQLite format 3":
            continue
        database = read_database(path, scratch)
        begun = database.execute("select detail from audit where what = 'upgrade-begin' order by id desc").fetchone()
        if begun and begun["detail"] in taken_up:
            left = database.execute("select done from upgrade").fetchone()
            done = left["done"] if left else database.execute("select count(*) from notes").fetchone()[0]
            more = max(0, done - taken_up[begun["detail"]])
            diverted += -(-more // BATCH) + (left is None)
        database.close()
    begins = [row for row in audit if row["what"] == "upgrade-begin"]
    early = {(row["pid"], row["token"]) for row in begins[:-1]}
    landed = sum(1 for row in audit if begins and row["id"] > begins[-1]["id"] and (row["pid"], row["token"]) in early)
    return diverted + landed, landed


def number(token):
    return tuple(int(part) for part in token.split("-"))


def wrong_digests(database, schema):
    if schema == 1:
        return []
    rounds = database.execute("select value from settings where name = 'rounds'").fetchone()[0]
    notes = database.execute("select id, title, author, body, digest from notes order by id").fetchall()
    wrong = []
    for note in notes[:: max(1, len(notes) // DIGESTS)]:
        text = f"{note['title']}\nby {note['author']}\n{note['body']}".encode()
        digest = hashlib.sha256(text).digest()
        for _ in range(rounds):
            digest = hashlib.sha256(digest + text).digest()
        if digest.hex() != note["digest"]:
            wrong.append(f"note {note['id']}")
    return wrong


def intruders(audit, pairs):
    """Whoever started or wrote between an upgrade's begin and its end."""
    return [
        f"{row['what']} by {row['member']}"
        for begin, end in pairs
        for row in audit
        if begin["id"] < row["id"] < end["id"]
    ]


def misfits(audit, pairs):
    """Members that started in the version that did not fit the schema of that moment."""
    done = pairs[-1][1]["id"] if pairs else float("inf")
    return [
        f"{row['member']} started {row['version']}"
        for row in audit
        if row["what"] == "start" and row["version"] != ("2.0" if row["id"] > done else "1.0")
    ]


# --- the report ---------------------------------------------------------------------------------------------


def stories(keep, states, first):
    """What each member did when, as lines of text."""
    told = {}
    for state in states:
        what = {0: "ready", 1: "maint", 8: "drain"}.get(state["admin_bits"], "?") + (" up" if state["op"] == 2 else " down")
        told.setdefault(state["server"], []).append((state["at"], "balancer " + what))
    for member, events in told.items():
        for line in json_lines(keep / f"app-{member}.log"):
            if line["event"] != "upgrade-progress":
                events.append((line["at"], f"{line['version']} {line['event']}"))
        events.sort(key=lambda event: event[0])
    for member in sorted(told):
        yield member + ": " + " · ".join(f"{(at - first) / 1000:+.2f} {what}" for at, what in told[member])


def copy_changes(home):
    """What a copied agent changed: in its store (no vote is given without writing it there first), and in journal, units
    and services (no application is started without a record there first)."""

    def files(root):
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    before, after = files(home / "before"), files(home / "data")
    if not before:
        raise Broken(f"{home} holds no copy")
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    store = [name for name in changed if name == "raft.redb"]
    rest = [name for name in changed if name.split("/")[0] in ("journal", "spool", "services")]
    return store, rest


class Table:
    """Rows (what, reported, recomputed, verdict); remembers whether all agree."""

    def __init__(self):
        self.rows = [("figure", "reported", "recomputed", "")]
        self.differ = False

    def compare(self, what, reported, recomputed, tolerance=0):
        if tolerance and isinstance(reported, (int, float)) and not isinstance(reported, bool):
            same = abs(reported - recomputed) <= tolerance
        else:
            same = reported == recomputed and type(reported) is type(recomputed)
        self.add(what, reported, recomputed, same)

    def must_be_none(self, what, found):
        text = str(len(found)) + (": " + "; ".join(found[:3]) if found else "")
        self.add(what, 0, text, not found)

    def add(self, what, reported, recomputed, same):
        self.differ |= not same
        self.rows.append((what, str(reported), str(recomputed), "ok" if same else "DIFFERS"))

    def __str__(self):
        widths = [max(len(row[column]) for row in self.rows) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in self.rows)


def check(keep, scratch):
    result = json.loads((keep / "result.json").read_text(encoding="utf-8"))
    requests = read_client(keep / "client.log")
    states = [event for event in json_lines(keep / "balancer.log") if event["event"] == "state"]
    first = min(request["scheduled_at"] for request in requests)
    last = max(request["done_at"] for request in requests)
    stretches = outages(states, first, last)
    failed = [request for request in requests if not succeeded(request)]
    outside = [request for request in failed if not excused(request, stretches)]

    live = (keep / "db" / "current").resolve(strict=True)
    database = read_database(live, scratch)
    audit = database.execute("select * from audit order by id").fetchall()
    schema = database.execute("select version from schema_version").fetchone()[0]
    pairs = upgrades(audit)
    ended_at = pairs[-1][1]["at"] if pairs else float("inf")

    table = Table()
    reported = result.get("requests", {})
    table.compare("requests.total", reported.get("total"), len(requests))
    table.compare("requests.ok", reported.get("ok"), len(requests) - len(failed))
    table.compare("requests.failed_outside_outage", reported.get("failed_outside_outage"), len(outside))
    table.compare("outage_ms", result.get("outage_ms"), outage_ms(requests, stretches), OUTAGE_TOLERANCE_MS)
    table.compare("database_upgrades", result.get("database_upgrades"), len(pairs))
    table.compare("upgrader", result.get("upgrader"), pairs[-1][1]["member"] if pairs else None)
    tokens = [row["token"] for row in audit if row["what"] == "upgrade-begin"]
    table.compare("tokens", result.get("tokens"), tokens)
    table.must_be_none("tokens that do not rise", [f"{a} {b}" for a, b in zip(tokens, tokens[1:]) if number(a) >= number(b)])
    attempted, landed = late_writes(keep, scratch, audit)
    reported = result.get("late_writes", {})
    table.compare("late_writes.attempted", reported.get("attempted"), attempted)
    table.compare("late_writes.landed", reported.get("landed"), landed)
    table.must_be_none("late writes that landed", ["row"] * landed)
    table.must_be_none("corruption rows", [f"{row['member']}: {row['found']}" for row in database.execute("select * from corruption")])
    table.must_be_none("rows lost", lost_rows(database, schema, requests))
    table.must_be_none("wrong digests", wrong_digests(database, schema))
    table.must_be_none("others during an upgrade", intruders(audit, pairs))
    table.must_be_none("started on a schema that does not fit", misfits(audit, pairs))
    stale = [r for r in requests if succeeded(r) and (r["sent_at"] > ended_at) != (r["version"] == "2.0")]
    table.must_be_none("answers of the wrong version", [f"{r['version']} by {r['member']} for request {r['n']}" for r in stale])
    fault = result.get("fault", {})
    if fault.get("kind") == "clone":
        store, rest = copy_changes(keep / "copies" / fault["victim"])
        table.compare("votes of the copy", fault["copy"]["votes"], len(store))
        table.compare("application starts of the copy", fault["copy"]["application_starts"], len(rest))
        table.must_be_none("what the copy voted or started", store + rest)
    print(table)
    print()
    for request in outside[:5]:
        why = request["error"] or f"status {request['status']} ({request['balancer'] or request['member']})"
        print(f"outside an outage: request {request['n']} at {(request['sent_at'] - first) / 1000:+.3f} s: {why}")
    for begin, end in stretches:
        print(f"outage {(begin - first) / 1000:+.2f} to {(end - first) / 1000:+.2f} s by the balancer's log")
    for path in sorted((keep / "db").glob("*.fenced")):
        if path.read_bytes()[:15] == b"SQLite format 3":
            rows = read_database(path, scratch).execute("select * from audit order by id").fetchall()
            print(f"cut off: {path.name}, {len(rows)} audit rows, {len(upgrades(rows))} upgrades ended there")
    for line in stories(keep, states, first):
        print(line)
    database.close()
    return table.differ


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keep", required=True, type=pathlib.Path, help="the directory the demo left behind")
    keep = parser.parse_args().keep
    try:
        with tempfile.TemporaryDirectory() as scratch:
            differ = check(keep, pathlib.Path(scratch))
    except (OSError, KeyError, TypeError, ValueError, Broken, sqlite3.Error) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        differ = True
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
