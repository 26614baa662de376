"""The lists of system calls that the filters allow, grouped by what a program needs them for.

Trust: reviewed. Purpose: be the data of `filters`; a reader can audit it without reading code.

1. Names are the kernel's; one that a machine lacks is left out of that machine's filter.
2. A call whose arguments matter is ruled in `filters`, not listed here.
"""

from __future__ import annotations

from typing import Final

_MEMORY: Final = """
    munmap mremap madvise brk mincore msync mlock munlock mlock2 memfd_create ftruncate fallocate
"""
# Reading and writing what is already open; no call here names a path.
_DESCRIPTORS: Final = """
    read write readv writev pread64 pwrite64 preadv pwritev lseek close fstat
    dup dup2 dup3 close_range pipe pipe2 eventfd2
    poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    timerfd_create timerfd_settime timerfd_gettime
"""
_MESSAGES: Final = """
    sendmsg recvmsg sendto recvfrom sendmmsg recvmmsg shutdown getsockname getpeername
"""
# What the C library and the interpreter do for themselves.
_RUNTIME: Final = """
    futex futex_waitv set_robust_list get_robust_list set_tid_address rseq membarrier sched_yield
    sched_getaffinity getcpu gettid getpid getppid getuid geteuid getgid getegid getresuid getresgid getgroups
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend sigaltstack tgkill
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getrusage getitimer setitimer
    getrandom sysinfo uname exit exit_group restart_syscall
"""

COMMON: Final = (_MEMORY + _DESCRIPTORS + _MESSAGES + _RUNTIME).split()

# While it imports, an exclave reads its code from the view and may make its secret memory.
EXCLAVE_IMPORT: Final = """
    stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd
    memfd_secret
""".split()

# A program works on files: the view and Landlock decide which.
_FILES: Final = """
    open openat openat2 creat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat
    getdents getdents64 getcwd chdir fchdir statfs fstatfs umask flock
    rename renameat renameat2 mkdir mkdirat rmdir unlink unlinkat link linkat symlink symlinkat
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
    truncate fsync fdatasync sync_file_range fadvise64 readahead copy_file_range sendfile splice tee
    preadv2 pwritev2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
    setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
"""
# It starts threads and further programs, all of which stay under this filter.
_PROCESSES: Final = """
    fork vfork execve execveat wait4 waitid getpgrp getpgid setpgid getsid setsid capget
    kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal
    prlimit64 getrlimit setrlimit getpriority sched_setaffinity sched_getparam sched_getscheduler
    sched_getattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval arch_prctl
"""
# It maps memory as it likes, compiled code at run time included: the other layers hold it.
_MAPPINGS: Final = """
    mmap mprotect mlockall munlockall pkey_alloc pkey_free pkey_mprotect map_shadow_stack mseal
    get_mempolicy futex_wake futex_wait futex_requeue
"""
_TIMERS: Final = """
    pause alarm timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    signalfd signalfd4 eventfd epoll_create
"""

MONOLITH: Final = (_FILES + _PROCESSES + _MAPPINGS + _TIMERS).split()

# fcntl: duplicate, descriptor and status flags, record locks, pipe sizes, seals. Not F_SETOWN (a pid).
CONTROLS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)

# Reading and setting a terminal, pseudo-terminals, and descriptor flags. Not TIOCSTI (0x5412) and TIOCLINUX
# (0x541C): they type into the terminal that the operator uses.
TERMINAL_IOCTLS: Final = (
    *(0x5401, 0x5402, 0x5403, 0x5404, 0x5409, 0x540A, 0x540B, 0x540E, 0x540F, 0x5410, 0x5411, 0x5413, 0x5414),
    *(0x541B, 0x5421, 0x5422, 0x5429, 0x5441, 0x5450, 0x5451, 0x5452),
    *(0x8004_5430, 0x4004_5431, 0x802C_542A, 0x402C_542B, 0x402C_542C, 0x402C_542D),
)

# Parent-death signal, reading own state, names, no_new_privs, huge pages, timer slack, names of mappings.
# Not PR_SET_DUMPABLE, PR_SET_PTRACER, PR_SET_MM, PR_SET_SECCOMP, PR_SET_SECUREBITS.
PRCTLS_EXCLAVE: Final = (1, 2, 3, 15, 16, 21, 38, 39, 0x5356_4D41)
PRCTLS_MONOLITH: Final = (*PRCTLS_EXCLAVE, 23, 29, 30, 36, 37, 41, 42)
