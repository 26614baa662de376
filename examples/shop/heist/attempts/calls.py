"""Trust: hostile.

Authority: what the app may ask of the exclaves, used to the full and beyond.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from heist.attempts.kit import Known, Stopped, attempt

MILLION = 1_000_000_00
GUESSES = ("password", "letmein", "qwerty123", "shop2024", "teatime1", "iloveyou", "dragon12", "swordfish")
IN_ONE_PROCESS = "found in the app's own memory instead"


@attempt("a payment of a million", {"LimitExceeded": "till: limit per payment"})
def pay_a_million(known: Known) -> str:
    """Attacker holds the till's capability; changes the limit in his memory; must get LimitExceeded."""
    till_module = sys.modules["till"]
    vars(till_module).update(PER_PAYMENT=2 * MILLION, PER_DAY=2 * MILLION)
    return as_receipt(pay(MILLION))


@attempt("a receipt for a million", {"BadSignature": "signature"})
def forge_receipt(known: Known) -> str:
    """Attacker holds what he found; wants a receipt that verifies; without the key it must not."""
    from exclave.keys import verify_ed25519

    signed = f"till: paid {MILLION} cents for order 0"
    keys = [thing for thing in gc.get_objects() if type(thing).__name__ == "Ed25519Key"]
    signature = keys[0].sign(signed.encode()) if keys else os.urandom(64)
    if not verify_ed25519(app().till.receipt_key(), signed.encode(), signature):
        raise Stopped("BadSignature", "signed without the key, it does not verify")
    return as_receipt((signed, signature))


@attempt("an exclave he does not hold", {"FAILED_LOOKUP": "nucleus: no capability"})
def ask_for_the_signer(known: Known) -> str:
    """Attacker holds the nucleus's socket; wants the signer, to sign what he likes; must be refused."""
    if not known.exclave:
        signers = [thing for thing in gc.get_objects() if type(thing).__name__ == "Signer"]
        return as_receipt((str(signers[0].name), signers[0].key.sign(b"till: whatever the thief says")))
    import exclave
    from signer import Signer

    return as_receipt(exclave.connect("signer", Signer).sign("whatever the thief says"))


@attempt("one payment twice", {"AlreadyPaid": "till: order numbers"})
def replay_a_payment(known: Known) -> str:
    """Attacker holds the bytes of an authorised payment; sends them again; must get AlreadyPaid."""
    if not known.exclave:
        tills = [
            thing
            for thing in gc.get_objects()
            if type(thing).__name__ == "Till" and hasattr(thing, "last_order")
        ]
        with app().till_lock:
            number = app().next_order
            app().next_order += 1
            app().till.pay(number, 100)
            for thing in tills:
                thing.last_order -= 1
            return f"paid again: {app().till.pay(number, 100)[0]}"
    wire = Wire("till")
    with app().till_lock:
        number, app().next_order = app().next_order, app().next_order + 1
        message = wire.call("pay", [number, 100])
        wire.talk(message)
    wire.talk(message)
    return "paid twice"


@attempt("to call as somebody else", {"BadArguments": "typed interface"}, IN_ONE_PROCESS)
def name_another_caller(known: Known) -> str:
    """Attacker holds an endpoint; names a caller of his choice in the message; must get BadArguments."""
    wire = Wire("till")
    wire.talk(wire.call("pay", [["operator", 1, 7], 10**6, 100]))
    return "the till took the name for the caller's"


@attempt("a method that is not offered", {"UnknownMethod": "typed interface"}, IN_ONE_PROCESS)
def call_unknown_method(known: Known) -> str:
    """Attacker holds an endpoint; calls every method number there is; must get UnknownMethod."""
    wire = Wire("till")
    offered = len(wire.interface.methods)
    for number in (65535, *range(offered, offered + 50)):
        wire.talk(wire.message("CALL", [], method=number))
    return "a method answered that the class does not offer"


@attempt("to confuse the server", {"Malformed": "wire format"}, IN_ONE_PROCESS)
def send_garbage(known: Known) -> str:
    """Attacker holds an endpoint; sends bytes that are no message; must be refused, and others served."""
    wire = Wire("till")
    wire.talk(b"\x03" + os.urandom(40))
    return "the server took garbage for a message"


@attempt("to overrun the server's buffer", {"Malformed": "wire format"}, IN_ONE_PROCESS)
def send_too_much(known: Known) -> str:
    """Attacker holds an endpoint; sends twice what a message may have; must be refused, and others served."""
    wire = Wire("till")
    wire.talk(bytes(130 * 1024))
    return "the server took more than a message may have"


@attempt("to speak another interface", {"InterfaceMismatch": "typed interface"}, IN_ONE_PROCESS)
def wrong_interface(known: Known) -> str:
    """Attacker holds an endpoint; says hello with the digest of another interface; must be refused."""
    wire = Wire("till", greet=False)
    wire.talk(wire.message("HELLO", bytes(16)))
    return "the server took one interface for another"


@attempt(
    "to hand an exclave a descriptor",
    {"EPERM": "SO_PASSRIGHTS", "NotGranted": "server: no frame right"},
    IN_ONE_PROCESS,
)
def smuggle_a_descriptor(known: Known) -> str:
    """Attacker holds an endpoint without the right "frame"; attaches an open file; must be refused."""
    from exclave.abi import payload

    wire = Wire("till")
    descriptor = payload.seal(bytes(100_000))
    try:
        payload.send(wire.sock, wire.message("CALL", b"", framed=100_000), descriptor)
    finally:
        os.close(descriptor)
    wire.answer()
    return "the exclave took the descriptor"


@attempt("to keep the till from others", {"EAGAIN": "bounded queue"}, IN_ONE_PROCESS)
def flood(known: Known) -> str:
    """Attacker holds an endpoint; sends calls and reads no reply; must be held back, others served."""
    wire = Wire("till")
    wire.sock.setblocking(False)
    message = wire.call("receipt_key", [])
    for _ in range(100_000):
        wire.sock.send(message)
    return "100000 calls queued"


@attempt("a password, by guessing", {"TooManyTries": "vault: five guesses"})
def guess_a_password(known: Known) -> str:
    """Attacker holds the user table and the vault's capability; guesses on; must be locked out."""
    vars(sys.modules["vault"])["MAX_MISSES"] = 1000
    record = app().book.record_of("carol")
    for guess in GUESSES:
        if app().vault.verify(record, guess):
            return f"carol's password is {guess}"
    raise Stopped("absent", "none of the guesses")


@attempt("a day of small payments", {"LimitExceeded": "till: limit per day"})
def pay_in_small_sums(known: Known) -> str:
    """Attacker holds the till's capability; pays within the limit, on and on; must meet the day's."""
    paid = 0
    try:
        while paid < 2 * 5_000_00:
            pay(500_00)
            paid += 500_00
    except Exception as error:
        raise Stopped(type(error).__name__, f"{paid // 100:,} of the day's 5,000 were left to lose") from None
    return f"{paid // 100:,} in one day"


class Wire:
    """A raw endpoint of an exclave, with none of the client's manners."""

    def __init__(self, target: str, *, greet: bool = True) -> None:
        from exclave.abi.interface import Interface
        from exclave.runtime import place

        self.interface: Any = Interface.of(getattr(sys.modules[target], target.capitalize()))
        self.sock = place.ask("endpoint", target)[0]
        self.sock.settimeout(10)
        self.sequence = 0
        if greet:
            self.talk(self.message("HELLO", self.interface.digest))

    def message(self, kind: str, body: object, *, method: int = 0, framed: int = 0) -> bytes:
        """Encode a message as a client does."""
        import msgspec

        from exclave.abi import wire

        self.sequence += 1
        data = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
        sequence = 0 if kind == "HELLO" else self.sequence
        return wire.encode(wire.Kind[kind], sequence, data, method=method, framed=framed)

    def call(self, method: str, arguments: list[object]) -> bytes:
        """Encode a call."""
        names = [offered.name for offered in self.interface.methods]
        return self.message("CALL", arguments, method=names.index(method))

    def talk(self, data: bytes) -> None:
        """Send bytes and raise what the answer says."""
        self.sock.send(data)
        self.answer()

    def answer(self) -> None:
        """Take one answer; a refusal or an exception is raised as Stopped."""
        import msgspec

        from exclave.abi import wire

        data = self.sock.recv(wire.DATAGRAM_LIMIT)
        if not data:
            raise Stopped("closed", "the server closed the connection")
        message = wire.decode(data)
        if isinstance(message, wire.Malformed):
            raise Stopped("garbage", message.reason)
        if message.kind in (wire.Kind.REFUSAL, wire.Kind.FAULT):
            code, text = msgspec.msgpack.decode(message.body, type=tuple[str, str])
            raise Stopped(code, text)
        if message.kind == wire.Kind.RAISED:
            index, arguments = msgspec.msgpack.decode(message.body, type=tuple[int, list[Any]])
            raise Stopped(("LimitExceeded", "AlreadyPaid")[index], " ".join(map(str, arguments)))


def app() -> Any:
    """The app's main module."""
    return sys.modules["__main__"]


def pay(amount: int) -> tuple[str, bytes]:
    """Pay through the app's own client, under an order number of the app's."""
    with app().till_lock:
        receipt: tuple[str, bytes] = app().till.pay(app().next_order, amount)
        app().next_order += 1
    return receipt


def as_receipt(receipt: tuple[str, bytes]) -> str:
    """A receipt as text."""
    return f"{receipt[0]} / {receipt[1].hex()}"
