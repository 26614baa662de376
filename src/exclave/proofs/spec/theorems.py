"""All theorems, by group and by the table whose rows they are about.

Trust: reviewed.
Purpose: the one list that the prover, the checker and the mutants go by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from exclave.nucleus.core.state import State
from exclave.proofs.spec import authority, effects, history, holdings, integrity, invariants, view
from exclave.proofs.spec.step import Step

Predicate = Callable[..., bool]


@dataclass(frozen=True)
class Theorem:
    """A predicate, its group, and the tables whose rows it takes, one key after the other."""

    group: str
    name: str
    tables: tuple[str, ...]
    predicate: Predicate

    @property
    def sentence(self) -> str:
        """Return what the theorem says."""
        return " ".join((self.predicate.__doc__ or "").split())

    @property
    def about_step(self) -> bool:
        """Say whether the theorem is about two states."""
        return self.group != INVARIANT


INVARIANT = "invariants"

_RAW: tuple[tuple[str, str, tuple[Predicate, ...]], ...] = (
    (
        INVARIANT,
        "doms",
        (
            invariants.domain_in_range,
            invariants.nucleus_runs,
            invariants.domain_has_object,
            invariants.only_nucleus_before_seal,
            invariants.member_of_conclave,
            invariants.handler_is_endpoint,
            holdings.core_knows_who_acts,
        ),
    ),
    (
        INVARIANT,
        "objs",
        (
            invariants.object_in_range,
            invariants.owner_exists,
            invariants.creator_incarnation,
            invariants.domains_lie_with_nucleus,
            invariants.object_names_domain,
            invariants.frame_count,
            invariants.private_frame_owned_by_exclave,
            invariants.monolith_frame_owned_by_monolith,
            invariants.conclave_state,
            invariants.conclave_armed,
        ),
    ),
    (
        INVARIANT,
        "caps",
        (
            holdings.slot_in_range,
            holdings.capability_generations,
            holdings.live_capability_has_object,
            holdings.parent_epoch,
            holdings.child_within_parent,
            holdings.badge_set_once,
            holdings.root_held_by_creator,
            holdings.caller_is_badged,
            holdings.private_frame_held_by_owner,
            holdings.monolith_holds_no_private_frame,
            holdings.controller_names_domain,
            holdings.core_knows_what_lives,
        ),
    ),
    (
        INVARIANT,
        "maps",
        (
            holdings.mapping_backed,
            holdings.mapping_incarnation,
            holdings.private_frame_mapped_in_owner,
            holdings.shared_frame_written_by_owner,
            holdings.monolith_frame_not_in_exclave,
            holdings.monolith_maps_no_private_frame,
        ),
    ),
    (INVARIANT, "rmap", (holdings.reverse_map_backed,)),
    (INVARIANT, "boot", (invariants.boot_in_range,)),
    (
        "integrity",
        "doms",
        (integrity.domain_changed_by_controller, integrity.own_row_changed_by_itself),
    ),
    ("integrity", "caps", (integrity.slot_changed_by_holder_or_granter,)),
    (
        "integrity",
        "objs",
        (
            integrity.object_changed_by_authority,
            integrity.conclave_changed_by_conductor,
            integrity.word_changed_by_signal_or_poll,
            integrity.count_changed_by_mapper,
            integrity.operation_needs_capability,
        ),
    ),
    ("integrity", "maps", (integrity.mapping_changed_by_holder_or_owner, integrity.mapped_with_rights)),
    ("integrity", "rmap", (integrity.entries_changed_with_count,)),
    ("integrity", "boot", (integrity.boot_changed_by_nucleus, integrity.only_who_acts_is_obeyed)),
    (
        "authority",
        "caps",
        (
            authority.capability_is_derivable,
            authority.revoked_slot_is_rewritten,
            authority.deleted_slot_is_empty,
            authority.nothing_comes_back,
            authority.badge_never_changes,
            authority.live_capability_is_not_overwritten,
            authority.latched_grants_are_refused,
            authority.live_root_survives_delete,
        ),
    ),
    ("authority", "caps caps", (authority.rewritten_slot_has_no_descendants,)),
    ("authority", "doms caps", (authority.ended_incarnation_has_no_authority,)),
    ("authority", "objs caps", (authority.ended_object_has_no_capabilities,)),
    (
        "history",
        "doms",
        (
            history.incarnations_grow,
            history.latched_domains_are_refused,
            history.no_exclave_after_seal,
            history.kind_is_for_life,
            history.member_joins_before_seal,
            history.domain_life_cycle,
            history.started_after_seal,
            history.host_is_not_member,
        ),
    ),
    (
        "history",
        "objs",
        (
            history.generations_grow,
            history.another_object_is_another_generation,
            history.latched_objects_are_refused,
            history.latched_types_stay,
            history.type_changes_through_free,
            history.frame_keeps_owner,
            history.object_ends_unused,
            history.word_of_notification_only,
            history.conclave_machine,
            history.conclave_transition_ends_first,
            history.launch_is_counted,
            history.host_stays_while_attached,
            history.stop_is_final,
            history.suspension_stops_members,
        ),
    ),
    ("history", "caps", (history.epochs_grow,)),
    (
        "history",
        "boot",
        (
            history.stage_never_goes_back,
            history.measurement_is_extended_before_seal,
            history.latches_are_one_way,
            history.lock_down_sets_latches,
        ),
    ),
    (
        "effects",
        "doms",
        (effects.effect_tells_of_domain, effects.fault_is_never_dropped, effects.handler_is_called_by_name),
    ),
    (
        "effects",
        "objs",
        (
            effects.effect_tells_of_object,
            effects.effect_tells_of_conclave,
            effects.signal_sets_badge,
            effects.poll_takes_word,
        ),
    ),
    (
        "effects",
        "caps",
        (effects.effect_tells_of_death, effects.effect_tells_of_grant, effects.derived_as_asked),
    ),
    ("effects", "maps", (effects.effect_tells_of_mapping,)),
    ("respect", "doms", (view.respects_domain, view.respects_conclave)),
    ("respect", "caps", (view.respects_slot,)),
    ("respect", "objs", (view.respects_object,)),
    ("respect", "maps", (view.respects_mapping,)),
    ("respect", "boot", (view.respects_boot,)),
    ("effects", "boot", (effects.effect_is_fresh, effects.conclave_effect_is_a_transition)),
)

THEOREMS: tuple[Theorem, ...] = tuple(
    Theorem(group, one.__name__, tuple(tables.split()), one)
    for group, tables, predicates in _RAW
    for one in predicates
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(one.group for one in THEOREMS))

_SIZES = {
    "doms": ("ndom",),
    "caps": ("ndom", "nslot"),
    "objs": ("ndom", "nobj"),
    "maps": ("ndom", "nv"),
    "rmap": ("ndom", "nobj", "nrmap"),
    "boot": (),
}


def keys(s: State, tables: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the key of every row, or combination of rows, of those tables."""
    return product(*(range(getattr(s, size)) for table in tables for size in _SIZES[table]))


def broken(s: State) -> list[str]:
    """Return the names and rows of the invariants that a state breaks."""
    return [
        f"{one.name}{key}"
        for one in THEOREMS
        if one.group == INVARIANT
        for key in keys(s, one.tables)
        if not one.predicate(s, *key)
    ]


def broken_step(step: Step) -> list[str]:
    """Return the names and rows of the theorems about two states that a step breaks."""
    return [
        f"{one.name}{key}"
        for one in THEOREMS
        if one.group != INVARIANT
        for key in keys(step.before, one.tables)
        if not one.predicate(step, *key)
    ]
