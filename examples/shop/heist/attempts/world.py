"""Trust: hostile.

The rest of the machine: other processes, the network, other programs' sockets.
"""

from __future__ import annotations

import os
import signal
import socket
import struct

from heist.attempts.kit import MAY, Known, Stopped, attempt, system_call

SO_PEERPIDFD = 77
NOT_THERE = {"ESRCH": "pid namespace"}


@attempt("the exclaves dead", NOT_THERE)
def kill_exclaves(known: Known) -> str:
    """Attacker holds the exclaves' process numbers; wants them dead; must get no such process."""
    for pid in known.lambs:
        os.kill(pid, signal.SIGKILL)
    return f"killed process {known.lambs[0]}"


@attempt("the nucleus dead", NOT_THERE)
def kill_nucleus(known: Known) -> str:
    """Attacker holds the nucleus's process number; wants it dead; must get no such process."""
    os.kill(known.nucleus, signal.SIGKILL)
    return f"killed process {known.nucleus}"


@attempt("the nucleus dead, by its socket", {"EPERM": "seccomp"}, "no nucleus there")
def kill_by_peer(known: Known) -> str:
    """Attacker holds an endpoint; wants to signal whoever made it, through SO_PEERPIDFD; must get EPERM."""
    from exclave.runtime import place

    endpoint, _, _ = place.ask("endpoint", "till")
    with endpoint:
        (pidfd,) = struct.unpack("i", endpoint.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))
        try:
            system_call("pidfd_send_signal", pidfd, signal.SIGKILL, None, 0)
        finally:
            os.close(pidfd)
    return "killed the nucleus"


@attempt("to send loot off by TCP", {"EACCES": "Landlock network"})
def send_by_tcp(known: Known) -> str:
    """Attacker holds the app and a collector's address; wants a connection out; must get EACCES."""
    with socket.create_connection(("127.0.0.1", known.collector), timeout=5) as connection:
        connection.sendall(b"loot, by TCP")
    return "sent 12 bytes"


@attempt("to send loot off by UDP", {"EPERM": "seccomp"})
def send_by_udp(known: Known) -> str:
    """Attacker holds the app and a collector's address; wants one datagram out; must get no such socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"loot, by UDP", ("127.0.0.1", known.collector))
    return "sent 12 bytes"


@attempt("a back door of his own", {"EACCES": "Landlock network"})
def open_back_door(known: Known) -> str:
    """Attacker holds the app; wants to listen on another port; must get EACCES."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return f"listened on port {door.getsockname()[1]}"


@attempt("the operator's agent, by its path", {"ENOENT": "mount namespace"})
def agent_socket(known: Known) -> str:
    """Attacker holds the path of an agent's socket (as ssh-agent, D-Bus, Docker); must get no such file."""
    return ask_agent(known.agent)


@attempt("the operator's agent, abstract", {"EPERM": "Landlock scope"})
def abstract_socket(known: Known) -> str:
    """Attacker holds the abstract name of an agent's socket, which no directory hides; must get EPERM."""
    return ask_agent("\0" + known.abstract)


@attempt("the kernel's routing tables", {"EPERM": "seccomp"}, MAY)
def netlink(known: Known) -> str:
    """Attacker holds the app; wants to talk netlink with the kernel; must get no such socket."""
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    return "opened a netlink socket"


def ask_agent(address: str) -> str:
    """Have the agent say what it holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.settimeout(5)
        agent.connect(address)
        said = agent.recv(256).decode()
    if not said:
        raise Stopped("silent", "the agent said nothing")
    return f"agent said {said!r}"
