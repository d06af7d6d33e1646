"""A command whose answer is lost is sent again, and happens once."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from select import select
from threading import Thread

import pytest

from runledger.errors import AccessRefused, StoreUnavailable
from runledger.ids import new_id

pytestmark = pytest.mark.slow


class CuttingProxy:
    """Forwards connections to a server; the next `cuts` answers never reach the client."""

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self.cuts = 0
        self.made = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            with suppress(OSError):
                while True:
                    readable, _, _ = select([client, server], [], [])
                    if client in readable:
                        request = client.recv(1 << 20)
                        if not request:
                            return
                        # The server answers to its own address alone.
                        named = f"127.0.0.1:{self._port}", f"127.0.0.1:{self._target}"
                        server.sendall(request.replace(*(name.encode() for name in named)))
                    if server in readable:
                        answer = server.recv(1 << 20)
                        if not answer:
                            return
                        if self.cuts:
                            # It was recorded: the answer is here.
                            self.cuts -= 1
                            self.made += 1
                            return
                        client.sendall(answer)


@pytest.fixture
def proxy(server) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(server.port)
    yield proxy
    proxy.close()


async def test_each_command_happens_once_whatever_is_lost(server, proxy, remote) -> None:
    async with remote(url=proxy.url) as ledger:

        async def twice_lost(command):
            proxy.cuts = 2
            result = await command
            assert proxy.cuts == 0
            return result

        run = await twice_lost(ledger.create_run("agent-a"))
        step = await twice_lost(ledger.record_step(run.run_id, prompt_tokens=3))
        ids = await twice_lost(
            ledger.record_messages(run.run_id, [{"role": "user", "content": "hi"}])
        )
        await twice_lost(ledger.record_heartbeat(run.run_id))
        await twice_lost(ledger.patch_metadata(run.run_id, {"a": 1}))
        done = await twice_lost(ledger.cancel_run(run.run_id))
        assert done.outcome == "cancelled"
        await twice_lost(ledger.record_step_feedback(step, "positive"))
        await twice_lost(ledger.delete_run(run.run_id))
        topics = [row.event.topic for row in server.ledger.store.read_stream(run.run_id)]
        assert topics == [
            "run.created",
            "run.step_recorded",
            "run.messages_recorded",
            "run.heartbeat_recorded",
            "run.metadata_patched",
            "run.cancelled",
            "run.step_feedback_recorded",
            "run.deleted",
        ]
        assert len(ids) == 1
        assert proxy.made == 16


async def test_many_tasks_lose_answers_and_nothing_is_doubled(server, proxy, remote) -> None:
    async with remote(url=proxy.url) as ledger:

        async def work(number: int) -> str:
            async with ledger.run(agent_id="agent-a") as run:
                for _ in range(5):
                    await run.record_step(prompt_tokens=1)
                    if number % 4 == 0:
                        proxy.cuts += 1
            return run.run_id

        runs = await asyncio.gather(*(work(number) for number in range(12)))
        assert proxy.made > 0
        proxy.cuts = 0
        listed = await ledger.list_runs(limit=100)
        assert {run.run_id for run in listed} == set(runs)
        assert {(run.num_steps, run.prompt_tokens, run.status) for run in listed} == {
            (5, 5, "completed")
        }


async def test_a_follower_whose_connection_is_cut_sees_each_event_once(
    server, proxy, remote
) -> None:
    async with remote(url=proxy.url) as ledger:
        run = await ledger.create_run("agent-a")

        async def follow() -> list[int]:
            return [stored.version async for stored in ledger.follow_run(run.run_id)]

        following = asyncio.create_task(follow())
        for number in range(20):
            await asyncio.to_thread(server.do, server.ledger.record_step(run.run_id))
            if number % 5 == 0:
                proxy.cuts += 1
            await asyncio.sleep(0.03)
        await asyncio.to_thread(server.do, server.ledger.complete_run(run.run_id))
        assert await following == list(range(1, 23))
        assert proxy.made > 0


async def test_a_server_that_is_away_for_a_while_is_waited_for(store_url, tmp_path, remote) -> None:
    """On a port that is known before it listens."""
    from running import RunningServer

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with remote(url=f"http://127.0.0.1:{port}", retry_for=60) as ledger:
        waiting = asyncio.ensure_future(ledger.create_run("agent-a"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        late = RunningServer(store_url, None)
        proxies = []

        def begin() -> None:
            late.__enter__()
            proxies.append(CuttingProxy(late.port, port))

        await asyncio.to_thread(begin)
        try:
            assert (await waiting).status == "created"
        finally:
            proxies[0].close()
            await asyncio.to_thread(late.stop)


async def test_a_server_that_stays_away_is_told_and_nothing_is_half_done(remote) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with remote(url=f"http://127.0.0.1:{port}", retry_for=0.5) as ledger:
        begun = time.monotonic()
        for call in (ledger.create_run("agent-a"), ledger.get_run_by_id(new_id("run"))):
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}.*within 0.5 s"):
                await call
        assert time.monotonic() - begun >= 0.5


async def test_a_key_that_is_none_is_refused_at_once(store_url, tmp_path, remote, server) -> None:
    from runledger.server.keys import Keyring

    keyring = Keyring(server.ledger.store)
    made = keyring.create(name="loop", organization="org-a", scopes=["runs:read"])
    async with remote(api_key="rlk_wrong") as ledger:
        with pytest.raises(AccessRefused):
            await ledger.list_runs()
    async with remote(api_key=made.text) as ledger:
        assert await ledger.list_runs() == []
        with pytest.raises(AccessRefused, match="runs:write"):
            await ledger.create_run("agent-a")
