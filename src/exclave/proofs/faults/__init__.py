"""Faults: single mistakes in the core, each of which some theorem must notice.

Trust: outside.
Purpose: the list of all of them.
"""

from __future__ import annotations

from exclave.proofs.faults.capability import CAPABILITY
from exclave.proofs.faults.conclave import CONCLAVE
from exclave.proofs.faults.domain import DOMAIN
from exclave.proofs.faults.fault import Fault
from exclave.proofs.faults.frame import FRAME
from exclave.proofs.faults.objects import OBJECTS
from exclave.proofs.faults.rest import REST

FAULTS: tuple[Fault, ...] = (*CAPABILITY, *OBJECTS, *DOMAIN, *CONCLAVE, *FRAME, *REST)
