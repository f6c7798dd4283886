"""What the doctor looks for, beside what stands in front (`front/rules.py`) and the traps of engines
(`proxy/engines/traps/`)."""

from typing import Final

from proxy.app.doctor.finding import Rule
from proxy.config.diagnostics import Severity

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# The file
FILE_ERROR: Final = Rule("file-error", _ERROR, "the file is wrong: nothing else was looked at", "correct it")
FILE_WARNING: Final = Rule("file-warning", _WARNING, "an option is doubtful", "see `tidegate check`")
FILE_NOTE: Final = Rule("file-note", _NOTE, "something of the file was not looked at")
OF_FILE: Final = (FILE_ERROR, FILE_WARNING, FILE_NOTE)

# Engines, whichever they are
SEEN: Final = Rule("engine-seen", _NOTE, "which engine answers, its version and its models")
AWAY: Final = Rule("engine-away", _ERROR, "it does not answer", "start the engine, or correct `url` or `tls`")
CERTIFICATE: Final = Rule(
    "engine-certificate", _ERROR, "its certificate is refused", "renew it, or set `tls.ca_file` or `tls.verify: false`"
)
KEY: Final = Rule("engine-key", _ERROR, "it wants a key, or another one", "give its key as `api_key`")
KEY_IN_CLEAR: Final = Rule(
    "engine-key-in-clear",
    _WARNING,
    "its key crosses a network unencrypted",
    "use https, or an address of your own network",
)
REDIRECTS: Final = Rule("engine-redirects", _ERROR, "it sends elsewhere, which is never followed", "correct `url`")
NO_LIST: Final = Rule("engine-no-list", _ERROR, "it lists no models", "wait until it is loaded, or correct `url`")
LIST_UNREAD: Final = Rule(
    "engine-list-unread", _WARNING, "it lists no models; those of the file are believed", "wait until it is loaded"
)
NOT_LISTED: Final = Rule("engine-model-missing", _ERROR, "a model is not listed", "correct `models`, or load it")
ALIAS: Final = Rule("engine-alias", _ERROR, "an alias leads to no listed model", "correct `aliases`")
OTHER_KIND: Final = Rule("engine-kind", _WARNING, "it is another engine than the file says", "kind: auto")
DENIED: Final = Rule(
    "engine-denies",
    _WARNING,
    "it says another precision, or the like, than the file",
    "leave it out of the file, or correct it",
)
CLOCK_SKEW: Final = Rule(
    "engine-clock", _WARNING, "its clock differs by more than 5 s", "switch on NTP on both machines"
)
NO_TIME: Final = Rule("engine-not-asked", _WARNING, "no time was left for some engines", "ask again")
TRIED: Final = Rule("engine-tried", _NOTE, "`--try`: a request was answered, and how fast")
TRIED_REFUSED: Final = Rule("engine-try-refused", _WARNING, "`--try`: it refuses a short chat", "see what it says")
TRIED_LATE: Final = Rule(
    "engine-try-late",
    _WARNING,
    "`--try`: no answer to a short chat within 5 s",
    "ask again; look at its load and its log",
)
NOT_TRIED: Final = Rule(
    "engine-not-tried", _NOTE, "`--try`: it was left alone, so that it need not wake or load a model"
)
USAGE_REFUSED: Final = Rule(
    "engine-refuses-usage", _WARNING, "`--try`: it refuses to be asked for token counts", "usage: never"
)
USAGE_UNTOLD: Final = Rule(
    "engine-usage-untold",
    _WARNING,
    "`--try`: its streams tell no token counts: they are counted by events",
    "update it; quotas and costs are estimates meanwhile",
)
CACHED_UNTOLD: Final = Rule(
    "engine-cached-untold",
    _WARNING,
    "`--try`: it does not tell how much of a prompt it had: what is believed of its prefix cache is not checked",
    "vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report",
)
OF_ENGINES: Final = (
    *(SEEN, AWAY, CERTIFICATE, KEY, KEY_IN_CLEAR, REDIRECTS, NO_LIST, LIST_UNREAD, NOT_LISTED, ALIAS, OTHER_KIND),
    *(
        DENIED,
        CLOCK_SKEW,
        NO_TIME,
        TRIED,
        TRIED_REFUSED,
        TRIED_LATE,
        NOT_TRIED,
        USAGE_REFUSED,
        USAGE_UNTOLD,
        CACHED_UNTOLD,
    ),
)

# Names
NAME_UNKNOWN: Final = Rule(
    "name-unknown", _ERROR, "a name does not resolve", "correct it, or the resolver of this machine"
)
NAME_SILENT: Final = Rule(
    "name-silent", _ERROR, "the resolver does not answer in time", "look at /etc/resolv.conf; use an address meanwhile"
)
NAME_SLOW: Final = Rule("name-slow", _WARNING, "a name takes long to resolve", "use a nearer resolver, or its address")
ADDRESS_DEAD: Final = Rule(
    "name-dead-address",
    _WARNING,
    "one of the addresses of a name does not answer",
    "take it out of DNS, let the engine listen there too (--host ::), or write the other address in `url`",
)
ADDRESS_SILENT: Final = Rule(
    "name-first-silent",
    _ERROR,
    "the first address of a name is silent: connections are tried there first, and time out",
    "take it out of DNS, or write the other address in `url`",
)
ADDRESSES: Final = Rule(
    "name-several",
    _NOTE,
    "a name has several machines behind it, that count as one backend",
    "list each as a backend of its own, so that load and prefix caches are known apart",
)
OF_NAMES: Final = (NAME_UNKNOWN, NAME_SILENT, NAME_SLOW, ADDRESS_DEAD, ADDRESS_SILENT, ADDRESSES)

# This machine
ADMIN_TAKEN: Final = Rule("machine-admin-taken", _NOTE, "somebody answers at the admin address")
DESCRIPTORS: Final = Rule("machine-descriptors", _NOTE, "how many descriptors are allowed and needed")
FEW_DESCRIPTORS: Final = Rule(
    "machine-few-descriptors",
    _WARNING,
    "fewer descriptors are allowed than needed",
    "ulimit -n N, or LimitNOFILE=N in systemd",
)
FEW_CONNECTIONS: Final = Rule(
    "machine-few-connections",
    _WARNING,
    "engines run more requests at once than there are connections of clients",
    "raise limits.connections.max, or lower max_concurrency",
)
FEW_FOR_ENGINES: Final = Rule(
    "machine-few-for-engines",
    _WARNING,
    "fewer connections to engines may be open than they run requests at once",
    "ulimit -n N, or LimitNOFILE=N in systemd",
)
CLOCK_UNSET: Final = Rule("machine-clock", _ERROR, "the clock was never set", "switch on NTP: timedatectl set-ntp true")
CLOCK_FREE: Final = Rule(
    "machine-clock-free", _NOTE, "the kernel's clock is not synchronised", "switch on NTP: timedatectl set-ntp true"
)
SOMAXCONN: Final = Rule(
    "machine-backlog", _WARNING, "fewer connections may wait to be taken than wanted", "sysctl -w net.core.somaxconn=N"
)
CPU_QUOTA: Final = Rule(
    "machine-cpu-quota",
    _WARNING,
    "less than one core is allowed: the process stands still for a part of each 100 ms",
    "raise the CPU limit of the container or unit to 1 or more, or leave it out",
)
PROXY_VARIABLES: Final = Rule(
    "machine-proxy-variables",
    _WARNING,
    "clients started here go through a proxy that the environment names; this one does not read it",
    "add localhost,127.0.0.1 and this proxy's name to NO_PROXY",
)
TIME_ZONE: Final = Rule(
    "machine-time-zone", _WARNING, "TZ names a zone that is not here: times are UTC", "correct TZ, or install tzdata"
)
SWAPPED: Final = Rule(
    "machine-swap", _NOTE, "swap is in use: a process that was put there answers late", "MemorySwapMax=0 for the unit"
)
OF_MACHINE: Final = (
    *(
        ADMIN_TAKEN,
        DESCRIPTORS,
        FEW_DESCRIPTORS,
        FEW_CONNECTIONS,
        FEW_FOR_ENGINES,
        CLOCK_UNSET,
        CLOCK_FREE,
        SOMAXCONN,
        CPU_QUOTA,
    ),
    *(PROXY_VARIABLES, TIME_ZONE, SWAPPED),
)

# The second level of the cache
STORE_WELL: Final = Rule("cache-seen", _NOTE, "its version, and how fast it answers")
STORE_AWAY: Final = Rule("cache-away", _ERROR, "it does not answer", "start it, or correct `cache.remote`")
STORE_TLS: Final = Rule(
    "cache-tls",
    _ERROR,
    "there is no TLS to it, or its certificate is refused",
    "rediss:// only where it speaks TLS; trust its authority",
)
STORE_OTHER: Final = Rule("cache-not-redis", _ERROR, "what answers there is no Redis", "correct `cache.remote`")
STORE_KEY: Final = Rule(
    "cache-password", _ERROR, "it refuses the password, or wants one", "correct `cache.remote_password`"
)
STORE_DATABASE: Final = Rule(
    "cache-database", _ERROR, "it has no such database", "correct the number in `cache.remote`"
)
STORE_SLOW: Final = Rule(
    "cache-slow",
    _WARNING,
    "one of a hundred answers takes more than 5 ms: requests go on without it",
    "use one that is nearer",
)
STORE_FULL: Final = Rule(
    "cache-refuses", _WARNING, "when it is full it keeps nothing new", "CONFIG SET maxmemory-policy volatile-lru"
)
STORE_EVICTS: Final = Rule(
    "cache-evicts",
    _NOTE,
    "when it is full it may forget which answers are void",
    "CONFIG SET maxmemory-policy volatile-lru",
)
STORE_UNBOUNDED: Final = Rule("cache-unbounded", _NOTE, "its memory has no bound", "CONFIG SET maxmemory 1gb")
STORE_REPLICA: Final = Rule("cache-replica", _ERROR, "it is a replica: nothing can be kept", "name the primary")
STORE_CLUSTER: Final = Rule(
    "cache-cluster", _ERROR, "it is a part of a cluster: most keys are elsewhere", "name one that stands alone"
)
STORE_LOADING: Final = Rule("cache-loading", _WARNING, "it still reads its data from disk", "ask again")
OF_CACHE: Final = (
    *(STORE_WELL, STORE_AWAY, STORE_TLS, STORE_OTHER, STORE_KEY, STORE_DATABASE, STORE_SLOW, STORE_FULL, STORE_EVICTS),
    *(STORE_UNBOUNDED, STORE_REPLICA, STORE_CLUSTER, STORE_LOADING),
)
