"""An idle worker's pick-up: creates keys one at a time, and serves as Svix, so that it sees when Svix is called."""

import asyncio
import hashlib
import json
import re
import time


class Pickup:
    """A stand-in for Svix, and a client that creates keys. Both use the wall clock, as the service does."""

    def __init__(self):
        self.called = {}  # the time of Svix's call, by application uid
        self.answered = {}  # the time of the answer 201, by account

    async def serve(self, port):
        await asyncio.start_server(self._answer_calls, "127.0.0.1", port)

    async def _answer_calls(self, reader, writer):
        try:
            while True:
                _, body = await read_message(reader)
                at, asked = time.time(), json.loads(body)
                self.called[asked["uid"]] = at
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
                application = {
                    "id": f"app_{asked['uid'][-27:]}", "uid": asked["uid"], "name": asked["name"],
                    "createdAt": now, "updatedAt": now, "metadata": asked.get("metadata", {}),
                }  # fmt: skip
                answer = json.dumps(application).encode()
                head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(answer)}\r\n\r\n".encode() + answer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def create(self, port, accounts, pauses):
        """Creates a key for each account after its pause in milliseconds, then waits for Svix's calls."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for account, pause in zip(accounts, pauses):
            await asyncio.sleep(pause / 1000)
            writer.write(
                f"POST /api/v1/partners/api-key HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {account}\r\n"
                "content-length: 0\r\n\r\n".encode()
            )
            status, _ = await read_message(reader)
            self.answered[account] = time.time()
            if " 201 " not in status:
                raise ConnectionError(f"a creation was answered {status.strip()}")
        writer.close()
        deadline = time.monotonic() + 30
        while not all(map(self.call_for, accounts)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def call_for(self, account):
        return self.called.get(f"account-{hashlib.sha256(account.encode()).hexdigest()}")


async def read_message(reader):
    """Reads an HTTP message with a length. Returns its first line and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
    return head.partition("\r\n")[0], await reader.readexactly(int(length.group(1)) if length else 0)
