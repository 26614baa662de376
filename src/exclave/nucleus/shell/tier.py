"""What this machine offers, found by doing, and which tier of confinement follows from it.

Trust: reviewed. Purpose: decide which layers hold before the first domain starts, and say what is missing.

1. Each probe runs in a throwaway child with a time limit; nothing on the host changes.
2. A tier below the floor is used only when the operator names it; seccomp-only is never used as root.
3. A host may be used at a lower tier than it offers, and then has only that tier's layers.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, replace

from exclave.nucleus.shell import probes
from exclave.nucleus.shell.identity import SubordinateIds, subordinate_ids
from exclave.nucleus.shell.probes import Probe


class Tier(enum.Enum):
    """Which layers hold, strongest first."""

    FULL = "full"
    NO_USERNS = "no-userns"
    """No namespaces and no view: Landlock, seccomp, limits."""
    NO_LANDLOCK = "no-landlock"
    """Namespaces, view, seccomp, limits."""
    SECCOMP_ONLY = "seccomp-only"
    """Files of the user stay reachable; never as root."""
    NO_SECCOMP = "no-seccomp"
    """Namespaces and view, without a filter: the kernel's whole surface is open."""


FLOOR = (Tier.FULL, Tier.NO_USERNS, Tier.NO_LANDLOCK)
"""The tiers that need no naming by the operator."""


class TierRefused(Exception):
    """The host is below the floor, or the operator named a tier that the host does not reach."""

    def __init__(self, reason: str, fixes: tuple[str, ...]) -> None:
        super().__init__("\n".join((reason, *fixes)))
        self.reason = reason
        self.fixes = fixes


@dataclass(frozen=True, slots=True)
class Host:
    """A machine as one tier uses it."""

    best: Tier | None
    """The strongest tier offered; None when none is."""
    tier: Tier | None
    """The tier in use; None until `at` chose one."""
    probes: tuple[Probe, ...]
    uid: int
    gid: int
    namespaces: bool
    landlock_abi: int
    """0 when Landlock is missing or not used."""
    seccomp: bool
    subordinate: SubordinateIds | None
    """An ordinary user's further host ids, when newuidmap works."""

    def offers(self, tier: Tier) -> bool:
        """Tell whether the layers of a tier hold here."""
        return {
            Tier.FULL: self.namespaces and self.landlock_abi > 0 and self.seccomp,
            Tier.NO_USERNS: self.landlock_abi > 0 and self.seccomp,
            Tier.NO_LANDLOCK: self.namespaces and self.seccomp,
            Tier.SECCOMP_ONLY: self.seccomp and self.uid != 0,
            Tier.NO_SECCOMP: self.namespaces,
        }[tier]

    def at(self, named: Tier | None = None) -> Host:
        """Use the host at a tier.

        Args:
            named: the operator's choice; None takes the best that is not below the floor.

        Returns:
            The host with only the layers of that tier.

        Raises:
            TierRefused: the tier is not offered, or none of the floor is (the host's or operator's fault).
        """
        tier = named or self.best
        fixes = tuple(f"{probe.name}: {probe.fix}" for probe in self.probes if not probe.ok and probe.fix)
        if tier is None or (named is None and tier not in FLOOR):
            raise TierRefused(
                f"this host is below the floor (best tier: {tier.value if tier else 'none'}); "
                "name the tier to run with less",
                fixes,
            )
        if not self.offers(tier):
            why = "seccomp-only is never used as root" if tier is Tier.SECCOMP_ONLY and self.uid == 0 else ""
            raise TierRefused(why or f"this host does not offer the tier {tier.value}", fixes)
        spaces = tier not in (Tier.NO_USERNS, Tier.SECCOMP_ONLY)
        return replace(
            self,
            tier=tier,
            namespaces=spaces,
            landlock_abi=self.landlock_abi if tier in (Tier.FULL, Tier.NO_USERNS) else 0,
            seccomp=tier is not Tier.NO_SECCOMP,
            subordinate=self.subordinate if spaces else None,
        )


def probe() -> Host:
    """Find out what this machine offers; takes some tens of milliseconds, and changes nothing."""
    found = probes.all_probes()
    by_name = {item.name: item for item in found}
    landlock = by_name["landlock"]
    host = Host(
        best=None,
        tier=None,
        probes=found,
        uid=os.geteuid(),
        gid=os.getegid(),
        namespaces=by_name["namespaces"].ok,
        landlock_abi=int(landlock.detail) if landlock.ok else 0,
        seccomp=by_name["seccomp"].ok,
        subordinate=subordinate_ids() if by_name["newuidmap"].ok else None,
    )
    return replace(host, best=next((tier for tier in Tier if host.offers(tier)), None))
