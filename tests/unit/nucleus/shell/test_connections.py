from __future__ import annotations

import socket
from dataclasses import dataclass

import pytest

from exclave.abi import refusal
from exclave.nucleus.shell.audit import Audit
from exclave.nucleus.shell.connections import Connections
from exclave.nucleus.shell.dispatch import Dispatcher
from exclave.nucleus.shell.distribution import Layout, distribute
from support.descriptions import describe, exclave, uses
from support.descriptors import open_descriptors


@dataclass
class Scene:
    """A running core of a monolith that uses a signer, and its connections."""

    layout: Layout
    dispatcher: Dispatcher
    connections: Connections

    @property
    def monolith(self) -> int:
        return self.layout.domains["monolith"]

    @property
    def signer(self) -> int:
        return self.layout.domains["signer"]

    def copy(self, slot: int) -> int:
        """Copy the monolith's capability for the signer to another slot."""
        grant = self.layout.uses["monolith", "signer"]
        return self.dispatcher.submit(self.monolith, "copy", grant.slot, slot)


@pytest.fixture
def scene() -> Scene:
    layout = distribute(describe(exclave("signer"), use=(uses("signer"),)), {})
    dispatcher = Dispatcher(layout.sizes, Audit(None))
    for step in layout.steps:
        dispatcher.must(step.operation, *step.arguments)
    for control in layout.control.values():
        dispatcher.must("start", control)
    return Scene(layout, dispatcher, Connections(dispatcher))


def ends() -> tuple[socket.socket, socket.socket]:
    """A client's end, which does not wait, and a server's."""
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.setblocking(False)
    return client, server


def test_connections_have_numbers_of_their_own(scene: Scene) -> None:
    pairs = [ends() for _ in range(3)]
    made = [
        scene.connections.add(scene.monolith, slot, scene.signer, server, copied=False)
        for slot, (_, server) in enumerate(pairs, 10)
    ]
    assert [entry.number for entry in made] == [1, 2, 3]
    assert scene.connections.get(2) is made[1]
    assert scene.connections.get(4) is None
    assert scene.connections.used_slots(scene.monolith) == {10, 11, 12}
    assert scene.connections.used_slots(scene.signer) == set()
    for client, server in pairs:
        client.close()
        server.close()


def test_closed_connection_is_shut_down_wherever_copies_of_it_are(scene: Scene) -> None:
    client, server = ends()
    exclaves = server.dup()
    connection = scene.connections.add(scene.monolith, 10, scene.signer, server, copied=False)
    scene.connections.close(connection)
    with client, exclaves:
        assert client.recv(10) == b""
        assert exclaves.recv(10) == b""
        with pytest.raises(BrokenPipeError):
            client.send(b"call")
    assert server.fileno() == -1
    scene.connections.close(connection)
    assert list(scene.connections) == []


def test_message_sent_before_the_end_can_still_be_read(scene: Scene) -> None:
    client, server = ends()
    server.send(b"answer")
    scene.connections.close(scene.connections.add(scene.monolith, 10, scene.signer, server, copied=False))
    with client:
        assert client.recv(10) == b"answer"
        assert client.recv(10) == b""


def test_copied_slot_is_emptied_with_its_connection(scene: Scene) -> None:
    slot = scene.layout.first_connection
    assert scene.copy(slot) == refusal.OK
    assert scene.copy(slot) == refusal.DELETE_FIRST
    client, server = ends()
    connection = scene.connections.add(scene.monolith, slot, scene.signer, server, copied=True)
    scene.connections.close(connection)
    assert not scene.dispatcher.is_live(scene.monolith, slot)
    assert scene.copy(slot) == refusal.OK
    client.close()


def test_sweep_closes_exactly_the_dead(scene: Scene) -> None:
    slots = [scene.layout.first_connection, scene.layout.first_connection + 1]
    clients = []
    for slot in slots:
        assert scene.copy(slot) == refusal.OK
        client, server = ends()
        scene.connections.add(scene.monolith, slot, scene.signer, server, copied=True)
        clients.append(client)
    assert scene.connections.sweep() == []
    assert scene.dispatcher.submit(scene.monolith, "delete", slots[0]) == refusal.OK
    assert [entry.slot for entry in scene.connections.sweep()] == [slots[0]]
    assert clients[0].recv(10) == b""
    with pytest.raises(BlockingIOError):
        clients[1].recv(10)
    assert [entry.slot for entry in scene.connections] == [slots[1]]
    for client in clients:
        client.close()
    for entry in scene.connections:
        scene.connections.close(entry)


def test_stopped_holder_loses_all_its_connections(scene: Scene) -> None:
    slot = scene.layout.first_connection
    assert scene.copy(slot) == refusal.OK
    client, server = ends()
    scene.connections.add(scene.monolith, slot, scene.signer, server, copied=True)
    scene.dispatcher.must("stop", scene.layout.control["monolith"])
    assert len(scene.connections.sweep()) == 1
    assert client.recv(10) == b""
    client.close()


def test_no_descriptor_is_left_after_many_connections(scene: Scene) -> None:
    before = open_descriptors()
    for number in range(300):
        client, server = ends()
        slot = scene.layout.first_connection + number % 2
        assert scene.copy(slot) == refusal.OK
        scene.connections.close(
            scene.connections.add(scene.monolith, slot, scene.signer, server, copied=True)
        )
        client.close()
    assert open_descriptors() == before
