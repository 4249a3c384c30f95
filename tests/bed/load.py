#!/usr/bin/env python3
"""Open-loop client load on Kinto through the balancer, with a log that can be held against the balancer's own.

It knows HTTP, Kinto's record API and the clock. It knows nothing of Lockkeeper, and it never retries: a request that
fails has failed. One JSON line a request goes to --out; the last line says how many were sent, so a cut log shows.

    load.py --url http://10.77.0.10 --out client.jsonl [--rate 50] [--collection /buckets/load/collections/records]

SIGTERM ends it cleanly: no new request starts, those in flight finish, the last line is written, exit 0.
"""
import argparse
import base64
import concurrent.futures
import hashlib
import http.client
import json
import queue
import random
import signal
import sys
import threading
import time
import urllib.parse
import uuid

# A request slower than this has failed for any user; the longest honest one here takes well under a second.
REQUEST_SECONDS = 10.0
# Open loop needs spare hands for slow answers: 64 hands at 50 requests/s cover answers of more than a second.
HANDS = 64
# What may wait for a hand before the load itself is at fault and says so: four seconds' worth at 50 requests/s.
# Kinto gives each collection a clock of its own and answers 409 when two writes meet in one tick of it. That is the
# product's business and no failure of the upgrade, so writes that follow each other go to different collections.
COLLECTIONS = 16
BACKLOG = 200

AUTHORIZATION = "Basic " + base64.b64encode(b"load:load").decode()

# kind of request -> weight; reads of acknowledged records check the content, "root" learns the version that serves
KINDS = {"put": 3, "post": 2, "get": 3, "list": 1, "root": 2}
# connection -> weight: kept or fresh, with the balancer's cookie or without
CONNECTIONS = {"keep-cookie": 3, "keep-plain": 3, "fresh-cookie": 2, "fresh-plain": 2}


def payload_hash(data):
    """The hash of a record's own fields: what the oracle computes again from the database's rows."""
    own = {k: v for k, v in data.items() if k not in ("id", "last_modified", "schema")}
    return hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class User:
    """One browser: maybe a connection that stays, maybe the balancer's cookie. Used by one hand at a time."""

    def __init__(self, kind, address):
        self.kind, self.address = kind, address
        self.connection, self.cookie = None, None

    def ask(self, method, path, request_id, body):
        headers = {"Authorization": AUTHORIZATION, "X-Request-Id": request_id}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.cookie and self.kind.endswith("cookie"):
            headers["Cookie"] = self.cookie
        if self.kind.startswith("fresh"):
            self.close()
            headers["Connection"] = "close"
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=REQUEST_SECONDS)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except Exception:
            self.close()
            raise
        for value in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = value.split(";", 1)[0]
        if self.kind.startswith("fresh") or (answer.headers.get("Connection") or "").lower() == "close":
            self.close()
        return answer.status, answer.headers.get("X-Served-By"), content

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Load:
    def __init__(self, arguments):
        url = urllib.parse.urlsplit(arguments.url)
        self.address = (url.hostname, url.port or 80)
        self.rate, self.collection = arguments.rate, arguments.collection
        self.out = open(arguments.out, "w", buffering=1)
        self.run = uuid.uuid4().hex[:8]
        self.lock = threading.Lock()
        self.acknowledged = []
        self.users = {kind: queue.SimpleQueue() for kind in CONNECTIONS}
        # A plain word: an Event's lock may be held by the very thread that the signal interrupts.
        self.stopped = False
        self.waiting = threading.Semaphore(BACKLOG)
        self.random = random.Random(20)

    def write(self, line):
        with self.lock:
            self.out.write(json.dumps(line) + "\n")

    def borrow(self, kind):
        try:
            return self.users[kind].get_nowait()
        except queue.Empty:
            return User(kind, self.address)

    def prepare(self):
        bucket, _, _ = self.collection.partition("/collections/")
        user = User("keep-plain", self.address)
        for path in [bucket] + [f"{self.collection}-{n}" for n in range(COLLECTIONS)]:
            status, _, content = user.ask("PUT", "/v1" + path, f"{self.run}-setup", b'{"data":{}}')
            if status not in (200, 201):
                raise SystemExit(f"load: PUT {path} answered {status}: {content[:200]!r}")
        user.close()

    def compose(self, number, kind):
        """(method, path, body, record id, data) of one request; a read of a record names one acknowledged before."""
        records = f"/v1{self.collection}-{number % COLLECTIONS}/records"
        if kind in ("get", "list") and not self.acknowledged:
            kind = "put"
        if kind in ("put", "post"):
            data = {"number": number, "run": self.run, "text": "Schl\u00fcssel " + uuid.uuid4().hex, "list": [1, None, True]}
            record = str(uuid.uuid4()) if kind == "put" else None
            body = json.dumps({"data": data}).encode()
            return kind, ("PUT" if record else "POST"), (f"{records}/{record}" if record else records), body, record, data
        if kind == "get":
            with self.lock:
                path, data = self.random.choice(self.acknowledged)
            return kind, "GET", path, None, path.rpartition("/")[2], data
        if kind == "list":
            return kind, "GET", f"{records}?_limit=5", None, None, None
        return "root", "GET", "/v1/", None, None, None

    def one(self, number, kind, connection, due):
        kind, method, path, body, record, data = self.compose(number, kind)
        line = {"id": f"{self.run}-{number}", "kind": kind, "connection": connection, "due": due, "start": time.time()}
        user = self.borrow(connection)
        try:
            status, server, content = user.ask(method, path, line["id"], body)
            line.update(end=time.time(), status=status, server=server)
            self.judge(line, kind, status, content, path, record, data)
        except Exception as error:  # no answer at all: the reason is logged, nothing is tried again
            line.update(end=time.time(), status=None, ok=False, error=f"{type(error).__name__}: {error}")
        finally:
            self.users[connection].put(user)
            self.waiting.release()
        self.write(line)

    def judge(self, line, kind, status, content, path, record, data):
        line["ok"] = status in (200, 201)
        if not line["ok"]:
            line["error"] = f"status {status}"
            return
        answer = json.loads(content)
        if kind in ("put", "post"):
            written = answer["data"]
            line.update(record=written["id"], hash=payload_hash(data))
            if payload_hash(written) != line["hash"]:
                line.update(ok=False, error="the answer holds another payload than was sent")
            with self.lock:
                self.acknowledged.append((path if kind == "put" else f"{path}/{written['id']}", data))
        elif kind == "get":
            if payload_hash(answer["data"]) != payload_hash(data):
                line.update(ok=False, error=f"record {record} has another payload than was acknowledged")
        elif kind == "root":
            line["version"] = answer["project_version"]

    def end(self):
        self.stopped = True

    def go(self):
        self.prepare()
        number, begin = 0, time.monotonic()
        pick = lambda weights: self.random.choices(list(weights), weights.values())[0]
        with concurrent.futures.ThreadPoolExecutor(HANDS) as hands:
            while True:
                time.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
                if self.stopped:
                    break
                if not self.waiting.acquire(blocking=False):
                    self.write({"id": f"{self.run}-{number}", "kind": "skipped", "start": time.time(), "ok": False,
                                "error": "the load generator itself fell behind"})
                else:
                    hands.submit(self.one, number, pick(KINDS), pick(CONNECTIONS), time.time())
                number += 1
        self.write({"end": True, "sent": number, "run": self.run})
        self.out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--collection", default="/buckets/load/collections/records")
    load = Load(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: load.end())
    load.go()


if __name__ == "__main__":
    sys.exit(main())
