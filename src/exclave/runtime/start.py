"""Trust: reviewed.

The program of an exclave's domain: completes its confinement, takes what the nucleus hands over, imports the
component inside the finished sandbox, narrows the sandbox once more, and serves.

Rules:
 1. No byte of the component runs before the import filter is in force.
 2. No call is served before the serve filter is in force.
 3. Whatever goes wrong is told to the nucleus with stage, kind and text, and the process ends.
"""

from __future__ import annotations

import importlib
import importlib.abc
import os
import signal
import socket
import sys
import traceback
from typing import Final, NoReturn

from exclave.abi import control
from exclave.abi.interface import Caller, Interface
from exclave.linux import calls
from exclave.runtime import place
from exclave.runtime.component import Component, prepare
from exclave.runtime.notification import Notification
from exclave.runtime.region import map_region
from exclave.runtime.secret import Secret, Secrets
from exclave.runtime.server import Report, ReportKind, Server

TEXT_LIMIT: Final = 8 * 1024
DESCRIPTORS: Final = 64


class Closed(importlib.abc.MetaPathFinder):
    """Says why nothing can be imported any more, where Python would say that no such module exists."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse every module that is not loaded yet."""
        text = f"{fullname}: an exclave that serves opens no files; import it at the top of its module"
        raise ImportError(text, name=fullname)


class StartError(Exception):
    """The description names something that the component's module does not hold."""


def receive_secret(sock: socket.socket, given: control.GiveSecret) -> Secret:
    """Receive one secret straight into secret memory."""
    memory = calls.secret_memory(given.size).view[: given.size]
    filled = 0
    while filled < given.size:
        count = sock.recv_into(memory[filled:], min(control.SECRET_CHUNK, given.size - filled))
        if count == 0:
            raise EOFError
        filled += count
    return Secret(given.name, memory)


def receive_all(sock: socket.socket, handed: place.Handed) -> dict[str, Secret]:
    """Take everything the nucleus hands over, until it says Begin."""
    secrets: dict[str, Secret] = {}
    while True:
        message, received = control.receive(sock, DESCRIPTORS)
        match message:
            case control.GiveSecret():
                secrets[message.name] = receive_secret(sock, message)
            case control.GiveEndpoint():
                handed.give_endpoint(message.name, socket.socket(fileno=received[0]), message.rights)
            case control.GiveRegion():
                handed.regions[message.name] = map_region(received[0], message.size, message.writable)
                control.send(sock, control.Mapped(message.name))
            case control.GiveNotification():
                sockets = [socket.socket(fileno=descriptor) for descriptor in received]
                if message.wait:
                    handed.waits[message.name] = list(zip(sockets, message.badges, strict=True))
                else:
                    handed.signals[message.name] = sockets[0]
            case control.Begin():
                return secrets
            case _:
                raise ValueError(f"unexpected {type(message).__name__} from the nucleus")


def load(component: str) -> Component:
    """Import the component's module and make its object.

    Raises:
        StartError: no such class, or not a component; the description's fault.
    """
    module_name, _, attribute = component.partition(":")
    module = importlib.import_module(module_name)
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        origin = getattr(module, "__file__", None) or "a built-in module"
        raise StartError(f'no class "{attribute}" in the module "{module_name}" ({origin})')
    if not issubclass(found, Component):
        raise StartError(f'"{component}" is not a subclass of exclave.Component')
    return found()


def serve(
    sock: socket.socket, component: Component, configure: control.Configure, handed: place.Handed
) -> None:
    """Answer calls until the nucleus closes the control socket."""

    def report(entry: Report) -> None:
        message: control.Dropped | control.FaultReport
        if entry.kind is ReportKind.DROPPED:
            message = control.Dropped(entry.connection, entry.text[:TEXT_LIMIT])
        else:
            message = control.FaultReport(entry.method, entry.text[:TEXT_LIMIT], entry.detail[-TEXT_LIMIT:])
        try:
            control.send(sock, message)
        except BlockingIOError:
            return

    def on_control() -> bool:
        try:
            message, received = control.receive(sock, 1)
        except (EOFError, ConnectionError):
            return False
        if isinstance(message, control.Admit) and not received:
            control.send(sock, control.Dropped(message.connection, "no free descriptor"))
        elif isinstance(message, control.Admit):
            caller = Caller(message.caller, message.badge, message.rights)
            server.add(message.connection, socket.socket(fileno=received[0]), caller)
        elif isinstance(message, control.Withdraw):
            server.remove(message.connection)
        elif isinstance(message, control.GiveEndpoint) and received:
            handed.give_endpoint(message.name, socket.socket(fileno=received[0]), message.rights)
        return True

    server = Server(component, Interface.of(type(component)), report=report, budget=configure.budget)
    server.serve_forever(sock, on_control)


def bring_up(sock: socket.socket, configure: control.Configure, handed: place.Handed) -> Component:
    """From everything handed over to a component that is ready to serve."""
    stage = "handing over"
    try:
        secrets = receive_all(sock, handed)
        place.stand_in(handed)
        stage = "import"
        component = load(configure.component)
        interface = Interface.of(type(component))
        if handed.endpoints:
            # A public name that is loaded when it is first used, which may be in a call.
            importlib.import_module("exclave.runtime.connect")
        stage = "init"
        notifications = {name: Notification(name, end, []) for name, end in handed.signals.items()}
        notifications |= {name: Notification(name, None, ends) for name, ends in handed.waits.items()}
        prepare(
            component,
            name=configure.name,
            secrets=Secrets(secrets),
            regions=handed.regions,
            notifications=notifications,
            uses={name: rights for name, (_, rights) in handed.endpoints.items()},
        )
        component.init()
        stage = "confinement"
        if configure.filter_serve:
            calls.install_seccomp(configure.filter_serve)
            sys.meta_path[:] = [Closed()]
    except BaseException as error:
        text = "".join(traceback.format_exception(error))[-TEXT_LIMIT:]
        control.send(sock, control.Failed(stage, type(error).__name__, text))
        os._exit(1)
    control.send(sock, control.Ready(tuple(method.name for method in interface.methods), interface.digest))
    return component


def main() -> NoReturn:
    """Run this process as the domain that the nucleus configures it to be."""
    sock = socket.socket(fileno=control.CONTROL_FD)
    calls.set_dumpable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper here
    configure, _ = control.expect(sock, control.Configure)
    kind = calls.secret_memory(1).kind
    if configure.filter_import:
        calls.install_seccomp(configure.filter_import)
    control.send(sock, control.Entered(kind))
    handed = place.Handed(configure.name)
    component = bring_up(sock, configure, handed)
    serve(sock, component, configure, handed)
    os._exit(0)
