#!/usr/bin/env python3
"""Judges a finished Kinto upgrade from what others wrote down. It shares no code with Lockkeeper.

    kinto.py EVIDENCE --since 'YYYY-MM-DD HH:MM:SS.mmm' --schema 23 26 --version 20.6.1 26.5.0
             [--coordinator LOGIN] [--database kinto] [--taken-over] [--restored] [--json FILE]
    kinto.py --self-test

EVIDENCE is a directory with: postgresql.csv (csvlog, log_statement=all, UTC), haproxy.log (`option httplog` with the
captured X-Request-Id, `log ... format iso`), client.jsonl (load.py), states.jsonl (states.py), rows-before.jsonl and
rows-after.jsonl, served.json {member: version}, schema.txt. Only what happened from --since on is judged.

--restored: the migration broke half-way and the old release serves again on what was there before.

Exit 0: every check holds. 1: a check is violated. 2: the evidence cannot be read.
"""
import argparse
import csv
import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import sys

csv.field_size_limit(1 << 30)

# HAProxy writes a request's time in whole milliseconds (cut, not rounded) and a change of a server in microseconds, and
# a request is assigned a moment after it was accepted. A refusal this little before the change still belongs to it.
WINDOW_SLACK = 0.010
# Two lines that HAProxy writes of one change of a server are microseconds apart.
SAME_MOMENT = 0.001
# The sampler looks every 0.1 s and is a process on a busy machine; the log's edges are trusted to this much.
SAMPLE_SLACK = 0.5
# The load must have been there: so many answered requests before, during and after the outage, or nothing is proven.
ENOUGH_OUTSIDE, ENOUGH_INSIDE = 50, 5


@dataclasses.dataclass
class Check:
    name: str
    ok: bool
    found: str


@dataclasses.dataclass
class Request:
    """One line of HAProxy's log: when it came, who served it, what became of it."""

    start: float
    end: float
    server: str
    status: int
    ending: str
    ident: str

    def failed(self):
        # The first character says who ended the session early: "-" nobody. A client error is the client's own fault,
        # but the load makes none: it counts as well.
        return self.status < 100 or self.status >= 400 or self.ending[0] != "-"


# ---- reading ---------------------------------------------------------------------------------------------------------

def utc(text):
    """Seconds since the epoch of '2026-11-21 04:01:30.538[ UTC]' or an ISO time with offset."""
    text = text.replace(" UTC", "").replace("T", " ")
    moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()


def json_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


CSV_COLUMNS = ("log_time user_name database_name process_id connection_from session_id session_line_num command_tag "
               "session_start_time virtual_transaction_id transaction_id error_severity sql_state_code message detail "
               "hint internal_query internal_query_pos context query query_pos location application_name").split()


def read_csvlog(path, since, database):
    entries = []
    with open(path, encoding="utf-8", errors="replace", newline="") as lines:
        for row in csv.reader(lines):
            entry = dict(zip(CSV_COLUMNS, row))
            entry["at"] = utc(entry["log_time"])
            if entry["at"] >= since and entry["database_name"] == database:
                entries.append(entry)
    return entries


REQUEST = re.compile(
    r"^(?P<logged>\S+) \S+ \[(?P<accepted>[^\]]+)\] \S+ (?P<backend>[^/ ]+)/(?P<server>\S+) "
    r"(?P<timers>[-+\d/]+) (?P<status>-?\d+) \+?\d+ \S+ \S+ (?P<ending>\S{4}) \S+ \S+ \{(?P<id>[^}]*)\} ")
CHANGE = re.compile(r"^(?P<at>\S+) Server (?P<backend>[^/ ]+)/(?P<server>\S+) (?P<what>.+)$")


def read_haproxy(path, backend):
    """(requests, changes): a change is (time, server, admitted?), in the order of the log."""
    requests, changes = [], []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := REQUEST.match(line):
                accepted = datetime.datetime.strptime(match["accepted"], "%d/%b/%Y:%H:%M:%S.%f")
                requests.append(Request(accepted.replace(tzinfo=datetime.timezone.utc).timestamp(), utc(match["logged"]),
                                        match["server"], int(match["status"]), match["ending"], match["id"]))
            elif (match := CHANGE.match(line)) and match["backend"] == backend:
                admitted = admitted_by(match["what"])
                # A health check's "is UP" is taken back in the same moment for a server that is drained by force.
                if match["what"].startswith("remains in forced") and changes and changes[-1][1:] == (match["server"], True) \
                        and utc(match["at"]) - changes[-1][0] < SAME_MOMENT:
                    changes.pop()
                if admitted is not None:
                    changes.append((utc(match["at"]), match["server"], admitted))
    return requests, changes


def admitted_by(what):
    """Whether a server that HAProxy says this of takes new requests; None when the line says nothing about that."""
    if what.startswith(("enters drain state", "is going DOWN", "remains in forced")):
        return False
    if match := re.match(r"is (UP|DOWN)(/[A-Z]+)?\b", what):
        return match[1] == "UP" and match[2] in (None, "/READY")
    return None


# ---- the database ----------------------------------------------------------------------------------------------------

STATEMENT = re.compile(r"^(?:statement|execute [^:]*): (?P<sql>.*)$", re.S)
WRITING = re.compile(r"(?:^|;)\s*(?:insert|update|delete|merge|truncate|create|alter|drop|grant|revoke|comment|reindex|"
                     r"refresh|call|do|import|copy\s+[^;]+\s+from)\b", re.I)
WRITING_WITH = re.compile(r"(?:^|;)\s*with\b[^;]*\b(?:insert\s+into|update\s+\S+\s+set|delete\s+from)\b", re.I)
VERSION = re.compile(r"insert\s+into\s+metadata\b[^;]*'storage_schema_version'\s*,\s*'(?P<version>\d+)'", re.I)


def sql_of(entry):
    match = STATEMENT.match(entry["message"])
    return re.sub(r"--[^\n]*", "", match["sql"]).strip() if match else None


def who(entry):
    return entry["user_name"], entry["connection_from"].rpartition(":")[0] or "local"


def writes(sql):
    return bool(WRITING.search(sql) or WRITING_WITH.search(sql))


def judge_takeover(entries, steps, taken_over):
    """Yields checks of logins that were shut out, and returns the last login, whose migration is the one that counts.
    Taken over means: its first word in the log. Of the earlier ones everything after that must have been refused."""
    logins = list(dict.fromkeys(login for _, _, login, _ in steps))
    if not taken_over or not logins:
        return logins[-1:]
    moment = min(entry["at"] for entry in entries if entry["user_name"] == logins[-1])
    late = [entry for entry in entries if entry["user_name"] in logins[:-1] and entry["at"] > moment]
    refused = [entry for entry in late if entry["error_severity"] in ("ERROR", "FATAL")]
    accepted = [entry for entry in late if sql_of(entry)]
    yield Check("taken_over", len(logins) == 2, f"migrations began as {', '.join(logins)}; wanted 2 logins")
    yield Check("late_refused", bool(refused) and not accepted,
                f"after {logins[-1]} came, of {', '.join(logins[:-1]) or 'nobody'}: {len(refused)} refused, {len(accepted)} accepted"
                + "".join(f"; {entry['message'][:80]}" for entry in (accepted + refused)[:2]))
    return logins[-1:]


def judge_database(entries, schema, coordinator, final, taken_over=False, restored=False):
    """Yields checks; the last value yielded is the span of the migration, or None."""
    steps = []  # (time, session, login, version), every attempt to record a version
    for entry in entries:
        sql = sql_of(entry)
        for match in VERSION.finditer(sql or ""):
            steps.append((entry["at"], entry["session_id"], entry["user_name"], int(match["version"])))
    of = yield from judge_takeover(entries, steps, taken_over)
    early = {login for _, _, login, _ in steps if login not in of} if taken_over else set()
    steps = [step for step in steps if step[2] not in early]
    sessions = sorted({session for _, session, _, _ in steps})
    logins = sorted({login for _, _, login, _ in steps})
    versions = [version for _, _, _, version in steps]
    wanted = list(range(schema[0] + 1, schema[1] + 1))
    # Of a migration that broke half-way some steps are recorded, but not all.
    right = wanted[:len(versions)] == versions and 1 < len(versions) < len(wanted) if restored else versions == wanted
    yield Check("one_migration", len(sessions) == 1 and right,
                f"{len(sessions)} session(s) wrote versions {versions} as {', '.join(logins) or 'nobody'}; wanted 1, "
                f"{'a part of ' if restored else ''}{wanted}")
    after = schema[0] if restored else schema[1]
    yield Check("schema_after", final == after, f"{final}; wanted {after}")
    if not steps:
        yield Check("one_writer", False, "no migration in the log")
        return None
    own = [entry for entry in entries if entry["session_id"] in sessions]
    span = (own[0]["at"], own[-1]["at"])
    within = [entry for entry in entries if span[0] <= entry["at"] <= span[1]]
    writers = {}
    for entry in within:
        if (sql := sql_of(entry)) and writes(sql):
            writers.setdefault(entry["user_name"], set()).add(entry["session_id"])
    told = ", ".join(f"{login} ({len(of)} session(s))" for login, of in sorted(writers.items()))
    yield Check("one_writer", len(sessions) == 1 and list(writers) == logins and set(sessions) == set.union(*writers.values()),
                f"during the migration ({span[1] - span[0]:.1f} s) wrote: {told or 'nobody'}")
    # The migrating program may hold several sessions: same login, same host. The coordinator may look, not write.
    holder = who(own[0])
    strangers = sorted({"{}@{}".format(*who(entry)) for entry in within
                        if entry["user_name"] and who(entry) != holder and entry["user_name"] != coordinator
                        and not (entry["user_name"] in early and entry["error_severity"] == "FATAL")})
    yield Check("door_shut", not strangers, f"others than {holder[0]}@{holder[1]} in the database during the migration: "
                + (", ".join(strangers) or "none"))
    errors = [entry for entry in own if entry["error_severity"] in ("ERROR", "FATAL", "PANIC")]
    yield Check("migration_broke" if restored else "migration_clean", bool(errors) == restored, f"{len(errors)} error(s)" + "".join(f"; {e['message'][:80]}" for e in errors[:2]))
    return span


def judge_rows(before, after, client):
    # Kinto's heartbeat writes rows of its own and deletes them again: they are nobody's data.
    before, after = ([row for row in rows if row["row"].get("resource_name") != "__heartbeat__"] for rows in (before, after))
    kept = {(row["table"], row["key"]): row["row"] for row in after}
    lost = [row for row in before if (row["table"], row["key"]) not in kept]
    changed = [row for row in before
               if (row["table"], row["key"]) in kept and digest(kept[row["table"], row["key"]]) != digest(row["row"])]
    yield Check("rows_kept", bool(before) and not lost and not changed,
                f"{len(before)} before, {len(after)} after, {len(lost)} lost, {len(changed)} changed"
                + "".join(f"; {row['key']}" for row in (lost + changed)[:2]))
    records = {row["row"]["id"]: payload(row["row"]["data"]) for row in after
               if row["table"] == "objects" and row["row"]["resource_name"] == "record" and not row["row"]["deleted"]}
    acknowledged = [line for line in client if line.get("ok") and "hash" in line]
    missing = [line for line in acknowledged if line["record"] not in records]
    other = [line for line in acknowledged if line["record"] in records and records[line["record"]] != line["hash"]]
    yield Check("acknowledged_kept", bool(acknowledged) and not missing and not other,
                f"{len(acknowledged)} acknowledged, {len(missing)} missing, {len(other)} with another payload"
                + "".join(f"; {line['record']}" for line in (missing + other)[:2]))


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def payload(data):
    return digest({key: value for key, value in data.items() if key not in ("id", "last_modified", "schema")})


# ---- traffic ---------------------------------------------------------------------------------------------------------

def outages(changes, since, until):
    """Spans in which no server took new requests, from the log of changes. HAProxy starts with every server up and
    says nothing of it."""
    admitted, spans, begin = {server: True for _, server, _ in changes}, [], None
    for at, server, taken in changes:
        admitted[server] = taken
        if not any(admitted.values()):
            begin = at if begin is None else begin
        elif begin is not None:
            spans.append((begin, at))
            begin = None
    if begin is not None:
        spans.append((begin, until))
    return [(start, end) for start, end in spans if end >= since]


def inside(spans, moment):
    return any(start - WINDOW_SLACK <= moment <= end for start, end in spans)


def judge_traffic(requests, changes, samples, client, served, versions, since, migration, restored):
    spans = outages(changes, since, max([request.end for request in requests], default=since))
    length = sum(end - start for start, end in spans)
    yield Check("one_outage", len(spans) == 1, f"{len(spans)} outage(s), {length:.2f} s together")

    wrong = [f"at +{sample['at'] - start:.2f} s {sorted(open_servers(sample))} admitted"
             for sample in samples for start, end in spans
             if start + SAMPLE_SLACK < sample["at"] < end - SAMPLE_SLACK and open_servers(sample)]
    seen = sum("servers" in sample for sample in samples)
    yield Check("states_agree", seen > 0 and not wrong, f"{seen} samples, {len(wrong)} contradict the log" + "".join(f"; {w}" for w in wrong[:2]))

    mine = [request for request in requests if request.start >= since]
    failed = [request for request in mine if request.failed()]
    outside = [request for request in failed if not inside(spans, request.start)]
    yield Check("no_failure_outside_outage", not outside,
                f"{len(mine)} requests, {len(failed) - len(outside)} failed in the outage, {len(outside)} outside"
                + "".join(f"; {r.ident} {r.server} {r.status} {r.ending}" for r in outside[:3]))

    by_ident = {request.ident: request for request in requests}
    lines = [line for line in client if "id" in line and line["start"] >= since]
    bad = [line for line in lines if not line.get("ok")
           and not inside(spans, by_ident[line["id"]].start if line["id"] in by_ident else line["start"])]
    yield Check("client_agrees", not bad, f"{len(lines)} requests by the client, {len(bad)} failed outside the outage"
                + "".join(f"; {line['id']} {line.get('error')}" for line in bad[:3]))
    answered = [line for line in client if line.get("status")]
    unknown = [line for line in answered if line["id"] not in by_ident]
    ends = [line for line in client if line.get("end") is True]
    complete = len(ends) == 1 and ends[0]["sent"] == sum("id" in line for line in client)
    yield Check("logs_complete", complete and not unknown,
                f"client's log {'complete' if complete else 'CUT'}, {len(unknown)} of {len(answered)} answers not in HAProxy's log")

    first = min((start for start, _ in spans), default=None)
    last = max((end for _, end in spans), default=None)
    counts = [sum(r.start < first for r in requests), sum(inside(spans, r.start) for r in requests),
              sum(r.start > last for r in requests)] if spans else [len(requests), 0, 0]
    yield Check("load_was_there", min(counts[0], counts[2]) >= ENOUGH_OUTSIDE and counts[1] >= ENOUGH_INSIDE,
                f"{counts[0]} before, {counts[1]} in and {counts[2]} after the outage")

    old, new = (versions[0], versions[0]) if restored else versions
    seen = sorted({(line["version"], "before" if line["start"] < (migration or (0,))[0] else "after")
                   for line in client if line.get("version")})
    mixed = [pair for pair in seen if pair not in ((old, "before"), (new, "after"))]
    yield Check("versions_served", migration is not None and not mixed and (new, "after") in seen
                and set(served.values()) == {new},
                f"clients saw {', '.join(f'{v} {when}' for v, when in seen)} the migration; members at the end: "
                + ", ".join(f"{name} {version}" for name, version in sorted(served.items())))


def open_servers(sample):
    return {name for name, state in sample.get("servers", {}).items() if state["op"] == 2 and state["admin"] == 0}


# ---- verdict ---------------------------------------------------------------------------------------------------------

def judge(evidence, since, schema, versions, coordinator="lockkeeper", database="kinto", backend="app", taken_over=False,
          restored=False):
    evidence = pathlib.Path(evidence)
    since = utc(since)
    entries = read_csvlog(evidence / "postgresql.csv", since, database)
    requests, changes = read_haproxy(evidence / "haproxy.log", backend)
    client = json_lines(evidence / "client.jsonl")
    final = int((evidence / "schema.txt").read_text())
    checks, migration = [], None

    def database_checks():
        nonlocal migration
        migration = yield from judge_database(entries, schema, coordinator, final, taken_over, restored)

    checks += database_checks()
    checks += judge_rows(json_lines(evidence / "rows-before.jsonl"), json_lines(evidence / "rows-after.jsonl"), client)
    checks += judge_traffic(requests, changes, json_lines(evidence / "states.jsonl"), client,
                            json.loads((evidence / "served.json").read_text()), versions, since, migration, restored)
    return checks


def table(checks):
    width = max(len(check.name) for check in checks)
    lines = [f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.found}" for check in checks]
    bad = sum(not check.ok for check in checks)
    return "\n".join(lines + [f"{len(checks)} checks, {bad} violated"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("evidence", nargs="?")
    parser.add_argument("--since")
    parser.add_argument("--schema", nargs=2, type=int)
    parser.add_argument("--version", nargs=2)
    parser.add_argument("--coordinator", default="lockkeeper")
    parser.add_argument("--database", default="kinto")
    parser.add_argument("--taken-over", action="store_true", help="a first upgrader was shut out half-way")
    parser.add_argument("--restored", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.path.insert(0, str(pathlib.Path(__file__).parent))
        import kinto_self_test
        return kinto_self_test.main()
    if None in (arguments.evidence, arguments.since, arguments.schema, arguments.version):
        parser.error("EVIDENCE, --since, --schema and --version are needed")
    try:
        checks = judge(arguments.evidence, arguments.since, arguments.schema, arguments.version,
                       arguments.coordinator, arguments.database, taken_over=arguments.taken_over,
                       restored=arguments.restored)
    except (OSError, ValueError, KeyError) as error:
        print(f"kinto.py: the evidence cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        report = {"ok": all(check.ok for check in checks), "checks": [dataclasses.asdict(check) for check in checks]}
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1))
    print(table(checks))
    return 0 if all(check.ok for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
