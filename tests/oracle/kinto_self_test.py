"""The oracle's own test: a good run written by hand is judged good, and every planted fault is caught by the check
that is meant for it. Run with `kinto.py --self-test`."""
import copy
import csv
import datetime
import json
import pathlib
import sys
import tempfile

import kinto

BASE = kinto.utc("2026-11-21 22:00:00.000")
SINCE = "2026-11-21 22:00:00.000"
COLUMNS = 26


def stamp(seconds, form):
    moment = datetime.datetime.fromtimestamp(BASE + seconds, datetime.timezone.utc)
    return moment.strftime(form)[:-3] if form.endswith("%f") and "/" in form else moment.strftime(form)


class Run:
    """A good run: load from 0 to 30 s at 20/s, outage from 10 to 20, migration from 13 to 16, new version from 20."""

    def __init__(self):
        self.log, self.haproxy, self.client, self.samples = [], [], [], []
        self.before, self.after = [], []
        self.served = {"n1": "26.5.0", "n2": "26.5.0", "n3": "26.5.0"}
        self.schema = 26
        for name, at in (("n1", 9.0), ("n2", 9.5), ("n3", 10.0)):
            self.change(at, name, "enters drain state. 1 active and 0 backup servers online.")
            self.change(at + 0.2, name, "is going DOWN for maintenance. 0 active and 0 backup servers left.")
        for name, at in (("n1", 20.0), ("n2", 22.0), ("n3", 24.0)):
            self.change(at - 0.1, name, "is UP/DRAIN (leaving forced maintenance).")
            self.change(at - 0.1, name, "remains in forced drain mode.")
            self.change(at - 0.05, name, "is UP, reason: Layer7 check passed, code: 200")
            self.change(at - 0.049999, name, "remains in forced drain mode.")
            self.change(at, name, "is UP (leaving forced drain).")
        for tick in range(300):
            self.sample(tick / 10, {"n1", "n2", "n3"} if not 9 <= tick / 10 < 24 else
                        {"n2", "n3"} if tick / 10 < 9.5 else {"n3"} if tick / 10 < 10 else set() if tick / 10 < 20 else {"n1"})
        self.migrate("6920.1", "up_1", 13.0)
        for number in range(600):
            at, ident = number / 20 + 0.01, f"run-{number}"
            if 10 <= at < 20:
                self.request(at, ident, "<NOSRV>", 503, "SCDN")
                self.client.append({"id": ident, "kind": "put", "start": BASE + at, "status": 503, "ok": False})
                continue
            self.request(at, ident, "n1", 200, "--VN")
            line = {"id": ident, "kind": "put", "start": BASE + at, "status": 200, "ok": True}
            if number % 5 == 0:
                line.update(kind="root", version="20.6.1" if at < 10 else "26.5.0")
            else:
                data = {"number": number}
                line.update(record=ident, hash=kinto.payload(data))
                row = {"table": "objects", "key": f"record r {ident}",
                       "row": {"id": ident, "resource_name": "record", "deleted": False, "data": data}}
                self.after.append(row)
                if at < 1:
                    self.before.append(row)
            self.client.append(line)
            self.statement("6920.9", "kinto", at, f"INSERT INTO objects VALUES ('{ident}')")
        self.client.append({"end": True, "sent": 600})
        self.log.sort(key=lambda entry: entry[0])

    def entry(self, session, login, at, severity, message):
        row = [""] * COLUMNS
        row[0] = stamp(at, "%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
        row[1], row[2], row[4], row[5], row[11], row[13] = login, "kinto", "10.77.0.12:5000", session, severity, message
        self.log.append((at, row))

    def statement(self, session, login, at, sql):
        self.entry(session, login, at, "LOG", f"statement: {sql}")

    def migrate(self, session, login, at, versions=(24, 25, 26)):
        self.entry(session, login, at, "LOG", f"connection authorized: user={login} database=kinto")
        for step, version in enumerate(versions):
            self.statement(session, login, at + step + 0.5, "CREATE INDEX x ON objects (id);\n-- bump\n"
                           f"INSERT INTO metadata (name, value) VALUES ('storage_schema_version', '{version}');")
        self.entry(session, login, at + len(versions), "LOG", "disconnection: session time: 0:00:03.000")

    def change(self, at, server, what):
        self.haproxy.append((at, f"{stamp(at, '%Y-%m-%dT%H:%M:%S.%f')}+00:00 Server app/{server} {what}"))

    def request(self, at, ident, server, status, ending):
        logged = stamp(at + 0.005, "%Y-%m-%dT%H:%M:%S.%f") + "+00:00"
        self.haproxy.append((at, f"{logged} 10.77.0.30:4711 [{stamp(at, '%d/%b/%Y:%H:%M:%S.%f')}] front app/{server} "
                                 f"0/0/0/4/4 {status} 300 - - {ending} 1/1/0/0/0 0/0 {{{ident}}} \"PUT /v1/x HTTP/1.1\""))

    def sample(self, at, ready):
        self.samples.append({"at": BASE + at, "servers": {
            name: {"op": 2 if name in ready else 0, "admin": 0 if name in ready else 1} for name in ("n1", "n2", "n3")}})

    def write(self, directory):
        directory = pathlib.Path(directory)
        with open(directory / "postgresql.csv", "w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows(row for _, row in sorted(self.log, key=lambda entry: entry[0]))
        (directory / "haproxy.log").write_text("".join(line + "\n" for _, line in sorted(self.haproxy, key=lambda e: e[0])))
        for name, lines in (("client", self.client), ("states", self.samples), ("rows-before", self.before), ("rows-after", self.after)):
            (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (directory / "served.json").write_text(json.dumps(self.served))
        (directory / "schema.txt").write_text(str(self.schema))


# ---- planted faults: (what went wrong, how it is planted, the checks that must catch it) -----------------------------

def second_upgrade(run):
    run.migrate("6920.2", "up_2", 13.2)


def late_second_upgrade(run):
    run.migrate("6920.2", "up_1", 25.0)


def second_writer(run):
    run.statement("6920.9", "kinto", 14.0, "UPDATE objects SET data = '{}'")


def hidden_writer(run):
    run.statement("6920.9", "kinto", 14.0, "WITH gone AS (DELETE FROM objects RETURNING id) SELECT count(*) FROM gone")


def silent_session(run):
    run.statement("6920.9", "kinto", 14.0, "SELECT 1")


def half_an_upgrade(run):
    run.log = [entry for entry in run.log if "'26'" not in entry[1][13]]
    run.schema = 25


def no_upgrade(run):
    run.log = [entry for entry in run.log if entry[1][5] != "6920.1"]


def failed_statement(run):
    run.entry("6920.1", "up_1", 14.0, "ERROR", "deadlock detected")


def lost_row(run):
    row = run.before[3]
    run.after = [other for other in run.after if other["key"] != row["key"]]


def lost_acknowledged_row(run):
    run.after.pop()


def changed_row(run):
    run.after = copy.deepcopy(run.after)
    run.after[-1]["row"]["data"]["number"] = 4711


def failure_before_the_outage(run):
    run.request(5.0, "run-99", "n2", 502, "SH--")


def failure_after_the_outage(run):
    run.request(21.0, "run-420", "n1", -1, "SC--")


def client_saw_a_failure(run):
    run.client[500].update(ok=False, error="record has another payload than was acknowledged")


def two_outages(run):
    run.change(26.0, "n1", "is DOWN, reason: Layer4 timeout")
    run.change(26.0, "n2", "is DOWN, reason: Layer4 timeout")
    run.change(26.0, "n3", "is DOWN, reason: Layer4 timeout")
    run.change(26.5, "n3", "is UP, reason: Layer7 check passed")


def wrong_admission(run):
    run.samples[150]["servers"]["n2"] = {"op": 2, "admin": 0}


def cut_client_log(run):
    run.client.pop()


def balancer_missed_a_request(run):
    run.haproxy = [entry for entry in run.haproxy if "{run-77}" not in entry[1]]


def load_went_to_bed(run):
    gone = {f"run-{number}" for number in range(400, 600)}
    run.client = [line for line in run.client if line.get("id") not in gone]
    run.client[-1]["sent"] = 400
    run.haproxy = [entry for entry in run.haproxy if not any("{%s}" % ident in entry[1] for ident in gone)]


def old_version_after(run):
    run.client[500].update(kind="root", version="20.6.1")


def member_left_behind(run):
    run.served["n3"] = "20.6.1"


def taken_over(run):
    """A first upgrader got as far as asking for version 24, was shut out, and was refused when it came back."""
    run.statement("6920.0", "up_0", 11.0, "INSERT INTO metadata (name, value) VALUES ('storage_schema_version', '24');")
    run.entry("6920.0", "up_0", 12.0, "FATAL", "terminating connection due to administrator command")
    run.entry("6920.3", "up_0", 14.5, "FATAL", 'role "up_0" is not permitted to log in')


def silent_when_back(run):
    taken_over(run)
    run.log = [entry for entry in run.log if entry[1][5] != "6920.3"]


def accepted_when_back(run):
    taken_over(run)
    run.statement("6920.4", "up_0", 14.6, "SELECT 1")


TAKEN_OVER = [
    ("nothing tried when it came back", silent_when_back, {"late_refused"}),
    ("a statement accepted when it came back", accepted_when_back, {"late_refused", "door_shut"}),
    ("nobody was ever shut out", lambda run: None, {"taken_over", "late_refused"}),
]

PLANTS = [
    ("a second upgrade beside the first", second_upgrade, {"one_migration", "one_writer"}),
    ("a second upgrade later, same login", late_second_upgrade, {"one_migration", "one_writer"}),
    ("a second writer during the migration", second_writer, {"one_writer"}),
    ("a writer hidden in a WITH", hidden_writer, {"one_writer"}),
    ("a session that only reads", silent_session, {"door_shut"}),
    ("an upgrade that stopped half way", half_an_upgrade, {"one_migration", "schema_after"}),
    ("no upgrade at all", no_upgrade, {"one_migration"}),
    ("an error in the migration", failed_statement, {"migration_clean"}),
    ("a lost row", lost_row, {"rows_kept", "acknowledged_kept"}),
    ("a lost acknowledged row", lost_acknowledged_row, {"acknowledged_kept"}),
    ("a changed row", changed_row, {"acknowledged_kept"}),
    ("a failure before the outage", failure_before_the_outage, {"no_failure_outside_outage"}),
    ("a failure after the outage", failure_after_the_outage, {"no_failure_outside_outage"}),
    ("a wrong answer to the client", client_saw_a_failure, {"client_agrees"}),
    ("two outages", two_outages, {"one_outage"}),
    ("a server admitted in the outage", wrong_admission, {"states_agree"}),
    ("a cut client log", cut_client_log, {"logs_complete"}),
    ("a request the balancer never saw", balancer_missed_a_request, {"logs_complete"}),
    ("no load after the outage", load_went_to_bed, {"load_was_there"}),
    ("the old version serving afterwards", old_version_after, {"versions_served"}),
    ("a member left behind", member_left_behind, {"versions_served"}),
]


def violated(run, shut_out=False):
    with tempfile.TemporaryDirectory() as directory:
        run.write(directory)
        checks = kinto.judge(directory, SINCE, (23, 26), ("20.6.1", "26.5.0"), taken_over=shut_out)
        return {check.name for check in checks if not check.ok}


def main():
    run = Run()
    taken_over(run)
    caught, good = 0, violated(Run()) | violated(run, True)
    print(f"{'ok  ' if not good else 'FAIL'}  a good run, plain and taken over: violated {sorted(good) or 'nothing'}")
    plants = [(*plant, False) for plant in PLANTS] + [(*plant, True) for plant in TAKEN_OVER]
    for what, plant, wanted, shut_out in plants:
        run = Run()
        plant(run)
        found = violated(run, shut_out)
        caught += wanted <= found
        print(f"{'ok  ' if wanted <= found else 'MISS'}  {what}: {', '.join(sorted(found)) or 'nothing'}; wanted {', '.join(sorted(wanted))}")
    print(f"planted {len(plants)}, caught {caught}; good run judged {'good' if not good else 'bad'}")
    return 0 if caught == len(plants) and not good else 1


if __name__ == "__main__":
    sys.exit(main())
