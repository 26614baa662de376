"""The filters' bytes: over every system call number, on both machines, for arguments that matter.

The expectations are written here from the manual pages, not derived from the filters' own tables.
"""

from __future__ import annotations

import errno
import functools
import itertools
import socket

import pytest

from exclave.linux.bpf import ALLOW, KILL_PROCESS, fail
from exclave.linux.numbers import AUDIT_ARCH, TABLE, number
from exclave.nucleus.shell.filters import Options, Profile, program, rules
from exclave.nucleus.shell.plan import Network
from support import bpf_machine

ARCHES = sorted(AUDIT_ARCH)
EXCLAVES: tuple[Profile, ...] = ("exclave-import", "exclave-serve")
PROFILES: tuple[Profile, ...] = ("monolith", "exclave-import", "exclave-serve")
DENIED = fail(errno.EPERM)
UNUSED = fail(errno.ENOSYS)
NETWORKS = {
    "none": Options(),
    "all": Options(network=Network.all()),
    "tcp": Options(network=Network.tcp(listen=(80,))),
    "no view": Options(namespaces=False),
    "no view, all": Options(namespaces=False, network=Network.all()),
    "no signals": Options(namespaces=False, signals=False),
}
EVERY = [(profile, name) for profile in PROFILES for name in NETWORKS]

# What nobody gets, in any profile, with any argument.
NEVER = """
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp move_pages
migrate_pages io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open unshare
setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fsconfig fspick mount_setattr
open_by_handle_at name_to_handle_at fanotify_init quotactl swapon swapoff acct syslog reboot keyctl
add_key request_key init_module finit_module delete_module kexec_load kexec_file_load iopl ioperm
modify_ldt settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname setuid setgid
setresuid setresgid setgroups setfsuid setfsgid capset landlock_create_ruleset landlock_restrict_self
shmget shmat semget msgget mq_open lookup_dcookie remap_file_pages vhangup nfsservctl sync
""".split()


@functools.cache
def loaded(profile: Profile, name: str, arch: str) -> list[tuple[int, int, int, int]]:
    """Assemble once."""
    return bpf_machine.decode(program(profile, arch, NETWORKS[name]))


def verdict(profile: Profile, name: str, arch: str, call: str, *arguments: int) -> int:
    """Run a filter on a call by name."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    return bpf_machine.run(loaded(profile, name, arch), number(call, arch), AUDIT_ARCH[arch], padded)


ARGUMENTS = list(itertools.product((0, 1, 2, 16, 0xFFFF_FFFF, 2**64 - 1), repeat=3))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(("profile", "name"), EVERY)
def test_every_number_has_a_verdict_and_only_listed_ones_pass(profile: Profile, name: str, arch: str) -> None:
    listed = {number(call, arch) for call in rules(profile, NETWORKS[name])}
    code = loaded(profile, name, arch)
    for call in range(512):
        answer = bpf_machine.run(code, call, AUDIT_ARCH[arch], (0, 0, 0, 0, 0, 0))
        assert answer in (ALLOW, DENIED, UNUSED)
        if call not in listed:
            assert answer == DENIED


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(("profile", "name"), EVERY)
def test_what_nobody_gets(profile: Profile, name: str, arch: str) -> None:
    for call in NEVER:
        if number(call, arch) >= 0:
            for first, second, third in ((0, 0, 0), (1, 1, 1), (2**64 - 1, 0, 0), (0, 16, 0)):
                assert verdict(profile, name, arch, call, first, second, third) == DENIED, call


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(("profile", "name"), EVERY)
def test_the_other_conventions_are_fatal(profile: Profile, name: str, arch: str) -> None:
    code = loaded(profile, name, arch)
    for foreign in (0x40000003, 0x40000028, 0, *(set(AUDIT_ARCH.values()) - {AUDIT_ARCH[arch]})):
        assert bpf_machine.run(code, 1, foreign, (0,) * 6) == KILL_PROCESS
    if arch == "x86_64":
        for call in (0x4000_0000, 0x4000_0027, 0x8000_0000, 0xFFFF_FFFF):
            assert bpf_machine.run(code, call, AUDIT_ARCH[arch], (0,) * 6) == KILL_PROCESS


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(("profile", "name"), EVERY)
def test_clone3_is_hidden_and_clone_makes_no_namespace(profile: Profile, name: str, arch: str) -> None:
    assert verdict(profile, name, arch, "clone3", 0, 88) == UNUSED
    for bit in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x8000):
        assert verdict(profile, name, arch, "clone", bit | 17) == DENIED
        assert verdict(profile, name, arch, "clone", bit | 0x003D0F00 & ~bit) == DENIED
    # What the C library's fork and pthread_create ask for.
    for flags in (0x01200011, 0x003D0F00):
        expected = ALLOW if profile == "monolith" else DENIED
        assert verdict(profile, name, arch, "clone", flags) == expected


TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
STREAM, DATAGRAM, RAW = socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.SOCK_DGRAM, socket.SOCK_RAW
SOCKETS = [
    # family, type, protocol, the settings that allow it
    (socket.AF_UNIX, STREAM, 0, {"none", "all", "tcp"}),
    (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, {"none", "all", "tcp"}),
    (socket.AF_INET, STREAM, 0, {"all", "tcp", "no view, all"}),
    (socket.AF_INET6, STREAM, TCP, {"all", "tcp", "no view, all"}),
    (socket.AF_INET, DATAGRAM, UDP, {"all", "no view, all"}),
    (socket.AF_INET, DATAGRAM, 0, {"all", "no view, all"}),
    (socket.AF_INET, STREAM, 262, set()),
    (socket.AF_INET, STREAM, 132, set()),
    (socket.AF_INET, RAW, 1, set()),
    (socket.AF_INET, DATAGRAM, 1, set()),
    (socket.AF_NETLINK, RAW, 0, {"all", "no view, all"}),
    (socket.AF_NETLINK, RAW, 12, set()),
    (socket.AF_PACKET, RAW, 0, set()),
    (socket.AF_ALG, socket.SOCK_SEQPACKET, 0, set()),
    (socket.AF_VSOCK, STREAM, 0, set()),
    (43, STREAM, 0, set()),
    (44, RAW, 0, set()),
]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", NETWORKS)
def test_sockets(name: str, arch: str) -> None:
    for family, kind, protocol, allowed in SOCKETS:
        expected = ALLOW if name in allowed else DENIED
        assert verdict("monolith", name, arch, "socket", family, kind, protocol) == expected
        for profile in EXCLAVES:
            assert verdict(profile, name, arch, "socket", family, kind, protocol) == DENIED


@pytest.mark.parametrize("arch", ARCHES)
def test_without_a_view_no_path_socket_is_reachable(arch: str) -> None:
    name = "no view"
    assert verdict("monolith", name, arch, "socketpair", socket.AF_UNIX, STREAM) == ALLOW
    assert verdict("monolith", name, arch, "socketpair", socket.AF_UNIX, DATAGRAM) == DENIED
    assert verdict("monolith", "none", arch, "socketpair", socket.AF_UNIX, DATAGRAM) == ALLOW
    for call in ("connect", "bind", "listen", "accept4"):
        assert verdict("monolith", name, arch, call, 3, 0, 110) == DENIED
        assert verdict("monolith", "none", arch, call, 3, 0, 110) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_without_a_view_only_the_process_itself_is_reached(arch: str) -> None:
    for call in ("prlimit64", "sched_setaffinity"):
        assert verdict("monolith", "no view", arch, call, 0) == ALLOW
        assert verdict("monolith", "no view", arch, call, 4711) == DENIED
        assert verdict("monolith", "none", arch, call, 4711) == ALLOW
    assert verdict("monolith", "no view", arch, "setpriority", 0, 4711) == DENIED
    for call in ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal"):
        assert verdict("monolith", "no signals", arch, call, 1, 1) == DENIED
        assert verdict("monolith", "none", arch, call, 1, 1) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_named_ports_cannot_be_passed_by_fast_open(arch: str) -> None:
    flag = socket.MSG_FASTOPEN
    for call, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        arguments = [3, 0, 0, 0, 0, 0]
        assert verdict("monolith", "tcp", arch, call, *arguments) == ALLOW
        arguments[place] = flag | socket.MSG_NOSIGNAL
        assert verdict("monolith", "tcp", arch, call, *arguments) == DENIED
        assert verdict("monolith", "all", arch, call, *arguments) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("profile", PROFILES)
def test_prctl_ioctl_fcntl_and_socket_options(profile: Profile, arch: str) -> None:
    for option in (4, 8, 22, 24, 28, 35, 47, 52, 59, 0x59616D61):
        assert verdict(profile, "none", arch, "prctl", option) == DENIED
    for option in (1, 15, 16, 38):
        assert verdict(profile, "none", arch, "prctl", option) == ALLOW
    for request in (0x5412, 0x541C, 0x5423, 0xC0045878, 0x4004667F, 0xFFFF_FFFF):
        assert verdict(profile, "none", arch, "ioctl", 0, request) == DENIED
    for request in (0x5401, 0x541B, 0x5421, 0x5451):
        assert verdict(profile, "none", arch, "ioctl", 0, request | 1 << 32) == ALLOW
    for control in (8, 10, 15, 1024, 1026):
        assert verdict(profile, "none", arch, "fcntl", 0, control) == DENIED
    for control in (1, 2, 3, 4, 1030, 1033):
        assert verdict(profile, "none", arch, "fcntl", 0, control) == ALLOW
    for option, expected in ((77, DENIED), (76, DENIED), (26, DENIED), (50, DENIED), (83, ALLOW), (7, ALLOW)):
        for call in ("getsockopt", "setsockopt"):
            assert verdict(profile, "none", arch, call, 3, socket.SOL_SOCKET, option) == expected
            assert verdict(profile, "none", arch, call, 3, TCP, option) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_what_an_exclave_may_map(arch: str) -> None:
    reading, writing, running = 1, 2, 4
    for stage, plain_code in (("exclave-import", ALLOW), ("exclave-serve", DENIED)):
        profile: Profile = "exclave-import" if stage == "exclave-import" else "exclave-serve"
        assert verdict(profile, "none", arch, "mmap", 0, 4096, reading | writing) == ALLOW
        assert verdict(profile, "none", arch, "mmap", 0, 4096, reading | running) == plain_code
        assert verdict(profile, "none", arch, "mmap", 0, 4096, reading | writing | running) == DENIED
        assert verdict(profile, "none", arch, "mprotect", 0, 4096, reading | writing) == ALLOW
        assert verdict(profile, "none", arch, "mprotect", 0, 4096, reading | running) == DENIED


@pytest.mark.parametrize("arch", ARCHES)
def test_what_an_exclave_may_open(arch: str) -> None:
    plain, driver = Options(), Options(devices=True)
    for flags, importing, driving in (
        (0o2000000, ALLOW, ALLOW),
        (0o200000, ALLOW, ALLOW),
        (1, DENIED, ALLOW),
        (2, DENIED, ALLOW),
        (3, DENIED, ALLOW),
        (0o100, DENIED, DENIED),
        (0o1000, DENIED, DENIED),
        (0o101, DENIED, DENIED),
        (0o20200002, DENIED, DENIED),
    ):
        for options, expected in ((plain, importing), (driver, driving)):
            code = bpf_machine.decode(program("exclave-import", arch, options))
            arguments = (0xFFFF_FF9C, 0, flags, 0, 0, 0)
            assert bpf_machine.run(code, number("openat", arch), AUDIT_ARCH[arch], arguments) == expected
        assert verdict("exclave-serve", "none", arch, "openat", 0xFFFF_FF9C, 0, flags) == DENIED


@pytest.mark.parametrize("arch", ARCHES)
def test_stages_only_narrow(arch: str) -> None:
    """Whatever serving allows, importing allowed: the second filter never widens the first."""
    wide, narrow = loaded("exclave-import", "none", arch), loaded("exclave-serve", "none", arch)
    for call in range(512):
        for first, second, third in ARGUMENTS:
            arguments = (first, second, third, 0, 0, 0)
            if bpf_machine.run(narrow, call, AUDIT_ARCH[arch], arguments) == ALLOW:
                assert bpf_machine.run(wide, call, AUDIT_ARCH[arch], arguments) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_a_second_filter_can_be_installed_only_while_importing(arch: str) -> None:
    assert verdict("exclave-import", "none", arch, "seccomp", 1, 0) == ALLOW
    for arguments in ((1, 8), (0, 0), (1, 1), (2, 0)):
        assert verdict("exclave-import", "none", arch, "seccomp", *arguments) == DENIED
    later: tuple[Profile, ...] = ("exclave-serve", "monolith")
    for profile in later:
        assert verdict(profile, "none", arch, "seccomp", 1, 0) == DENIED


def test_every_listed_name_is_known() -> None:
    for profile, name in EVERY:
        assert set(rules(profile, NETWORKS[name])) <= set(TABLE)
