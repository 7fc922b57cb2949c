#!/usr/bin/env python3
"""The clients of the stack's test: browsers, Stripe, and two hundred requests a second. Standard library only.

    driver.py setup <state>             registers a company and a freelance and begins their conversation
    driver.py routes <state>            which host leads where
    driver.py chat <state>              a chat between sockets at different replicas
    driver.py uploads <state>           pictures of 5 MB, many at once, beside searches
    driver.py load <state> <report>     requests and sockets until the file <report>.stop appears, then the report
"""

import asyncio
import base64
import collections
import hashlib
import hmac
import json
import os
import pathlib
import random
import sys
import time
import zlib

ADDRESS, PORT = "127.0.0.1", 80
DOMAIN = "freehunt.test"
ORIGIN = f"https://{DOMAIN}"
WEBHOOK_SECRET = os.environ.get("STACK_WEBHOOK_SECRET", "whsec_stack")
RATE = int(os.environ.get("STACK_RATE", "200"))
DASHBOARD = os.environ.get("STACK_DASHBOARD", "operator:password")
SOCKETS = 10


class Connection:
    """One HTTP/1.1 connection to Traefik, kept open."""

    def __init__(self, port=PORT):
        self.reader = self.writer = None
        self.port = port

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(ADDRESS, self.port, limit=1 << 20)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, method, host, path, body=None, headers=(), content_type="application/json"):
        if self.writer is None:
            await self.open()
        payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Origin: {ORIGIN}"]
        if not any(name == "Content-Length" for name, _ in headers):
            lines.append(f"Content-Length: {len(payload)}")
        if payload:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + payload)
        await self.writer.drain()
        return await self.answer()

    async def answer(self):
        status_line = await self.reader.readline()
        if not status_line:
            raise ConnectionError("closed before the answer")
        status = int(status_line.split()[1])
        headers = collections.defaultdict(list)
        while (line := (await self.reader.readline()).strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()].append(value.strip())
        if headers["transfer-encoding"] == ["chunked"]:
            body = b""
            while (size := int(await self.reader.readline(), 16)):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        else:
            body = await self.reader.readexactly(int((headers["content-length"] or ["0"])[0]))
        if "close" in headers["connection"]:
            self.close()
        return status, headers, body


async def once(method, host, path, body=None, headers=(), port=PORT):
    connection = Connection(port)
    try:
        return await asyncio.wait_for(connection.ask(method, host, path, body, headers), 20)
    finally:
        connection.close()


def cookies_of(headers):
    pairs = (value.split(";")[0] for value in headers["set-cookie"])
    return {name: value for name, value in (pair.split("=", 1) for pair in pairs) if value}


def cookie_header(cookies):
    return ("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()))


def expect(condition, sentence, detail=""):
    if not condition:
        print(f"FAILED  {sentence} {detail}")
        sys.exit(1)
    print(f"ok      {sentence}")


class Socket:
    """A Socket.IO client over WebSocket."""

    def __init__(self, user):
        self.user, self.sticky, self.events, self.closed = user, None, [], False

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(ADDRESS, PORT)
        key = base64.b64encode(random.randbytes(16)).decode()
        name, value = cookie_header(self.user["cookies"])
        request = (
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: socket.{DOMAIN}\r\nOrigin: {ORIGIN}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{name}: {value}\r\n\r\n"
        )
        self.writer.write(request.encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        if " 101 " not in head.split("\r\n")[0]:
            self.writer.close()
            raise ConnectionError(head.split("\r\n")[0])
        for line in head.split("\r\n"):
            if line.lower().startswith("set-cookie:") and "freehunt-socket" in line:
                self.sticky = line.split("=", 1)[1].split(";")[0]
                self.sticky_line = line
        await asyncio.wait_for(self.frame(), 10)
        self.send("40")
        while (answer := await asyncio.wait_for(self.frame(), 10)) == "2":
            self.send("3")
        if not answer.startswith("40"):
            raise ConnectionError(answer)
        self.task = asyncio.create_task(self.run())
        return self

    def send(self, text):
        payload, mask = text.encode(), random.randbytes(4)
        length = len(payload)
        head = bytes([0x81, 0x80 | length]) if length < 126 else bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "big")
        self.writer.write(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload)))

    async def frame(self):
        while True:
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8), "big")
            payload = await self.reader.readexactly(length)
            if first & 0x0F == 8:
                raise ConnectionError("closed")
            if first & 0x0F == 1:
                return payload.decode()

    async def run(self):
        try:
            while True:
                packet = await self.frame()
                if packet == "2":
                    self.send("3")
                elif packet in ("1", "41"):
                    break
                elif packet.startswith("42"):
                    self.events.append(json.loads(packet[2:]))
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.closed = True
        self.writer.close()

    async def wait_for(self, matches, seconds=15):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(matches(event) for event in self.events):
                return True
            await asyncio.sleep(0.02)
        return False


async def register(role, name):
    body = {"email": f"{name}@example.com", "password": "Stack-test-1!", "password_repeat": "Stack-test-1!", "role": role,
            "username": name}
    status, headers, answer = await once("POST", f"api.{DOMAIN}", "/auth/register", body)
    if status != 201:
        raise SystemExit(f"FAILED  {name} cannot register: {status} {answer.decode()}")
    user = {"cookies": cookies_of(headers)}
    status, headers, answer = await once("GET", f"api.{DOMAIN}", "/auth/getme", headers=[cookie_header(user["cookies"])])
    if status != 200:
        raise SystemExit(f"FAILED  {name} has no session: {status} {answer.decode()}")
    user["id"] = json.loads(answer)["id"]
    return user


async def setup(state):
    number = f"{int(time.time()):x}"
    company, freelance = await register("COMPANY", f"company-{number}"), await register("FREELANCE", f"freelance-{number}")
    status, _, answer = await once("POST", f"api.{DOMAIN}", "/conversations", headers=[cookie_header(company["cookies"])],
                                   body={"senderId": company["id"], "receiverId": freelance["id"]})
    if status != 201:
        raise SystemExit(f"FAILED  no conversation: {status} {answer.decode()}")
    conversation = json.loads(answer)["id"]
    state.write_text(json.dumps({"company": company, "freelance": freelance, "conversation": conversation}))
    print("ok      a company and a freelance registered through api. and Authentik's stand-in, and have a conversation")


def signed(payload):
    now = int(time.time())
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{now}.".encode() + payload, hashlib.sha256).hexdigest()
    return [("Stripe-Signature", f"t={now},v1={signature}")]


async def routes(_state):
    event = {"id": f"evt_{random.randbytes(8).hex()}", "object": "event", "type": "customer.created", "created": int(time.time()),
             "api_version": "2025-04-30.basil", "livemode": False, "pending_webhooks": 0, "request": None,
             "data": {"object": {"id": "cus_1", "object": "customer"}}}
    payload = json.dumps(event).encode()
    status, _, body = await once("GET", f"api.{DOMAIN}", "/health")
    expect(status == 200, "api. leads to the API", (status, body))
    status, _, body = await once("GET", f"socket.{DOMAIN}", "/health/ready")
    expect(status == 200, "socket. leads to the messaging server", (status, body))
    status, _, body = await once("GET", DOMAIN, "/login")
    expect((status, body) == (200, b"frontend: /login"), "the apex leads to the frontend", (status, body))
    for host in (DOMAIN, f"api.{DOMAIN}"):
        status, _, body = await once("POST", host, "/stripe/webhook", payload, signed(payload))
        expect(status in (200, 201) and b"frontend" not in body, f"{host}/stripe/webhook leads to the API", (status, body))
        status, _, body = await once("POST", host, "/stripe/webhook", payload, [("Stripe-Signature", "t=1,v1=00")])
        expect(status == 400, f"{host}/stripe/webhook refuses a wrong signature", (status, body))
    status, headers, _ = await once("GET", f"www.{DOMAIN}", "/a?b=c")
    expect(status in (301, 308) and headers["location"] == [f"{ORIGIN}/a?b=c"], "www. leads to the apex", (status, headers))
    status, _, _ = await once("GET", f"nobody.{DOMAIN}", "/")
    expect(status == 404, "any other host leads nowhere", status)
    basic = [("Authorization", "Basic " + base64.b64encode(DASHBOARD.encode()).decode())]
    wrong = [("Authorization", "Basic " + base64.b64encode(b"nobody:!").decode())]
    for host, port in ((f"traefik.{DOMAIN}", 80), ("127.0.0.1", 8081)):
        statuses = [(await once("GET", host, "/api/rawdata", headers=headers, port=port))[0] for headers in ((), wrong, basic)]
        expect(statuses == [401, 401, 200], f"{host}:{port} shows the dashboard with the password only", statuses)
    status, _, _ = await once("GET", f"authentik.{DOMAIN}", "/api/v3/flows/executor/default-authentication-flow/")
    expect(status == 200, "authentik. leads to Authentik", status)
    # Whoever is first there becomes the administrator.
    for path in ("/if/flow/initial-setup/", "/api/v3/flows/executor/initial-setup/", "/api/v3/flows/executor/initial%2Dsetup/",
                 "/api/v3//flows/executor/initial-setup/", "/api/v3/flows/executor/../executor/initial-setup/?query="):
        for method in ("GET", "POST"):
            status, _, _ = await once(method, f"authentik.{DOMAIN}", path)
            expect(status in (301, 308, 400, 401), f"{method} authentik.{path} asks for the dashboard's password", status)
    for host in (f"api.{DOMAIN}", f"socket.{DOMAIN}"):
        status, _, _ = await once("GET", host, "/metrics")
        expect(status == 404, f"{host}/metrics is not routed", status)
    status, _, _ = await once("POST", f"api.{DOMAIN}", "/upload/avatar", headers=[("Content-Length", str(7 << 20))])
    expect(status == 413, "a body of 7 MB is refused by Traefik", status)


async def chat(state):
    sockets, replicas = {}, set()
    for _ in range(60):
        socket = await Socket(state["freelance"]).connect()
        replicas.add(socket.sticky)
        if sockets.setdefault(socket.sticky, socket) is not socket:
            socket.writer.close()
            # Traefik learns of a new replica within five seconds.
            await asyncio.sleep(0.5)
        if len(replicas) == 3:
            break
    expect(None not in replicas and len(replicas) >= 2, f"socket. sets a sticky cookie; {len(replicas)} replicas took sockets")
    line = next(iter(sockets.values())).sticky_line.lower()
    expect(all(word in line for word in ("secure", "httponly", "samesite=lax")), "the sticky cookie is Secure, HttpOnly, Lax")
    sticky = next(iter(sockets))
    same = set()
    for _ in range(6):
        cookies = {**state["freelance"]["cookies"], "freehunt-socket": sticky}
        status, headers, _ = await once("GET", f"socket.{DOMAIN}", "/socket.io/?EIO=4&transport=polling",
                                        headers=[cookie_header(cookies)])
        same.add((status, cookies_of(headers).get("freehunt-socket", sticky)))
    expect(same == {(200, sticky)}, "a client with the cookie stays at its replica", same)
    text = f"across replicas {random.random()}"
    status, _, body = await once("POST", f"api.{DOMAIN}", "/messages", {"content": text, "conversationId": state["conversation"]},
                                 [cookie_header(state["company"]["cookies"])])
    expect(status == 201, "the company writes over HTTP", (status, body))
    for socket in sockets.values():
        arrived = await socket.wait_for(lambda event: event[0] == "newMessage" and text in json.dumps(event[1]))
        expect(arrived, f"the message arrives at the socket of replica {socket.sticky[:8]}")


def picture():
    """The smallest PNG, and zeros after it up to 5 MB: a server that trusts nothing holds all of it."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    size = (8).to_bytes(4, "big") * 2
    rows = zlib.compress(b"\0" * 8 * 25)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return image.ljust(5 * 1024 * 1024, b"\0")


async def uploads(state):
    cookie = cookie_header(state["freelance"]["cookies"])
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    form, statuses, pending = head + picture() + b"\r\n--B--\r\n", collections.Counter(), [48]

    async def sender():
        while pending[0]:
            pending[0] -= 1
            connection = Connection()
            try:
                status, _, _ = await asyncio.wait_for(
                    connection.ask("POST", f"api.{DOMAIN}", "/upload", form, [cookie], "multipart/form-data; boundary=B"), 60)
                statuses[f"upload {status}"] += 1
            finally:
                connection.close()

    async def searcher():
        while pending[0]:
            status, _, _ = await once("POST", f"api.{DOMAIN}", "/job-postings/search", {"title": "x", "take": 100})
            statuses[f"search {status}"] += 1

    await asyncio.gather(*(sender() for _ in range(16)), *(searcher() for _ in range(4)))
    print(f"        {dict(statuses)}")
    # More than a replica may hold at once is told to come back later.
    expect(set(statuses) <= {"upload 201", "upload 503", "upload 429", "search 200"}, "uploads are taken or put off, searches answered", statuses)
    expect(statuses["upload 201"] >= 12, "uploads are taken", statuses)


class Load:
    def __init__(self, state):
        self.state, self.began = state, time.time()
        self.statuses, self.failures, self.times = collections.Counter(), [], []
        self.socket_refusals, self.reconnects, self.messages, self.late = [], 0, 0, []
        self.stop = False

    def kinds(self):
        cookie = [cookie_header(self.state["company"]["cookies"])]
        api = f"api.{DOMAIN}"
        return [
            ("GET", api, "/skills", None, ()),
            ("GET", api, "/auth/getme", None, cookie),
            ("GET", api, f"/messages/conversation/{self.state['conversation']}", None, cookie),
            ("POST", api, "/job-postings/search", {"title": "x", "take": 5}, ()),
            ("GET", DOMAIN, "/login", None, ()),
        ]

    async def worker(self, queue):
        connection, kinds = Connection(), self.kinds()
        while (number := await queue.get()) is not None:
            method, host, path, body, headers = kinds[number % len(kinds)]
            began = time.time()
            try:
                status, _, text = await asyncio.wait_for(connection.ask(method, host, path, body, headers), 30)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
                connection.close()
                status, text = type(error).__name__, b""
            self.times.append(time.time() - began)
            self.statuses[str(status)] += 1
            if status not in (200, 201):
                self.failures.append((round(time.time(), 2), path, status, text[:120].decode(errors="replace"), round(self.times[-1], 2)))
        connection.close()

    async def socket(self, user):
        """Stays connected as a browser does: a second after a closed socket, the next one."""
        first = True
        while not self.stop:
            try:
                socket = await Socket(user).connect()
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                self.socket_refusals.append((round(time.time(), 2), str(error)))
                await asyncio.sleep(1)
                continue
            self.reconnects += not first
            first = False
            self.sockets.add(socket)
            while not socket.closed and not self.stop:
                await asyncio.sleep(0.1)
            self.sockets.discard(socket)
            if not socket.closed:
                socket.task.cancel()
                socket.writer.close()

    async def writer(self):
        """A message every second; every socket that was open before and after must have got it."""
        while not self.stop:
            before, text, began = set(self.sockets), f"load {random.random()}", time.time()
            try:
                status, _, _ = await once("POST", f"api.{DOMAIN}", "/messages",
                                          {"content": text, "conversationId": self.state["conversation"]},
                                          [cookie_header(self.state["company"]["cookies"])])
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                status = type(error).__name__
            self.statuses[str(status)] += 1
            if status == 201:
                self.messages += 1
                await asyncio.sleep(3)
                for socket in before & self.sockets:
                    if not socket.closed and not any(text in json.dumps(event) for event in socket.events):
                        self.late.append((round(time.time(), 2), text, socket))
            else:
                self.failures.append((round(time.time(), 2), "/messages", status, "", round(time.time() - began, 2)))
                await asyncio.sleep(1)

    async def run(self, report):
        self.sockets, queue = set(), asyncio.Queue()
        clients = [asyncio.create_task(self.socket(self.state["freelance"])) for _ in range(SOCKETS)]
        clients.append(asyncio.create_task(self.writer()))
        workers = [asyncio.create_task(self.worker(queue)) for _ in range(64)]
        stop_file, number, began = pathlib.Path(f"{report}.stop"), 0, time.monotonic()
        while not stop_file.exists():
            while number < (time.monotonic() - began) * RATE:
                queue.put_nowait(number)
                number += 1
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - began
        for _ in workers:
            queue.put_nowait(None)
        await asyncio.gather(*workers)
        # What was not there after three seconds came later, or is lost.
        lost = [(at, text) for at, text, socket in self.late
                if not socket.closed and not any(text in json.dumps(event) for event in socket.events)]
        self.stop = True
        await asyncio.wait(clients, timeout=10)
        self.times = sorted(self.times) or [0]
        answer = {
            "seconds": round(seconds, 1),
            "requests": sum(self.statuses.values()),
            "per_second": round(number / seconds, 1),
            "statuses": dict(self.statuses),
            "failed": len(self.failures),
            "failures": self.failures[:2000],
            "p50_ms": round(self.times[len(self.times) // 2] * 1000, 1),
            "p99_ms": round(self.times[int(len(self.times) * 0.99)] * 1000, 1),
            "longest_s": round(self.times[-1], 1),
            "sockets": SOCKETS,
            "socket_reconnects": self.reconnects,
            "socket_refusals": self.socket_refusals,
            "chat_messages": self.messages,
            "chat_late": len(self.late),
            "chat_lost": lost,
        }
        pathlib.Path(report).write_text(json.dumps(answer))


def main():
    command, state_file = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "setup":
        asyncio.run(setup(state_file))
        return
    state = json.loads(state_file.read_text())
    if command == "load":
        asyncio.run(Load(state).run(sys.argv[3]))
    else:
        asyncio.run({"routes": routes, "chat": chat, "uploads": uploads}[command](state))


main()
