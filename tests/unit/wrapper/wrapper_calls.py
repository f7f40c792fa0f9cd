"""Calls that between them use every argument of every command, as data."""

from __future__ import annotations

from itertools import chain
from typing import Any

ENV = {"TOKEN": "hunter2", "EMPTY": ""}

GUEST = {"env": ENV, "workdir": "/srv", "timeout": 30, "stdin": b"in", "tty": True}
NETWORK = {
    "net": True,
    "net_backend": "tsi",
    "allow_cidrs": ["10.0.0.0/8", "1.1.1.1/32"],
    "allow_hosts": ["example.com"],
    "outbound_localhost_only": True,
}
SIZES = {"cpus": 2, "mem": 512, "storage": 30, "overlay": 12}
MOUNTS = {"volumes": ["./src:/app", "/data:/data:ro"], "ports": ["8080:80", "2222:22"]}

# command: (positional arguments, arguments that go together, arguments that exclude all others)
COMMANDS: dict[str, tuple[tuple[Any, ...], dict[str, Any], list[dict[str, Any]]]] = {
    "machine_create": (
        ("box",),
        {
            "image": "alpine",
            **SIZES,
            **MOUNTS,
            **NETWORK,
            "gpu": True,
            "gpu_vram": 1024,
            "init": ["apk add git", "--odd"],
            "env": ENV,
            "workdir": "/srv",
            "ssh_agent": True,
            "smolfile": "box.toml",
        },
        [
            {"from_path": "box.smolmachine"},
            {"from_path": "box.smolmachine", "env": ENV},
            {"from_path": "box.smolmachine", "allow_cidrs": ["10.0.0.0/8"]},
        ],
    ),
    "machine_start": (("box",), {}, []),
    "machine_stop": (("box",), {}, []),
    "machine_delete": (("box",), {}, []),
    "machine_status": (("box",), {}, []),
    "machine_ls": ((), {}, []),
    "machine_update": (
        ("box",),
        {
            **SIZES,
            **MOUNTS,
            "remove_volumes": ["./old:/old"],
            "remove_ports": ["1:1"],
            "net": True,
            "env": ENV,
            "remove_env": ["OLD"],
            "workdir": "/srv",
            "gpu": False,
        },
        [{"net": False}, {"gpu": True}],
    ),
    "machine_resize": (("box",), {"storage": 30, "overlay": 12}, []),
    "machine_images": (("box",), {}, []),
    "machine_prune": (("box",), {"dry_run": True, "everything": True}, []),
    "machine_monitor": (
        ("box",),
        {
            "restart": "always",
            "health_cmd": "true",
            "health_timeout": 3,
            "interval": 9,
            "health_retries": 2,
        },
        [],
    ),
    "machine_network_test": (("box",), {"url": "http://example.com"}, []),
    "machine_data_dir": (("box",), {}, []),
    "machine_shell": (("box",), {}, []),
    "machine_exec": (
        ("box", ["sh", "-c", "exit 3", "--name", "-e"]),
        GUEST,
        [{"timeout": "1m 30s"}, {"timeout": 0.25}],
    ),
    "stream": (("box", ["true"]), GUEST, []),
    "machine_run": (
        (["true", "-x"],),
        {
            "image": "alpine",
            **GUEST,
            "oci_platform": "linux/arm64",
            **SIZES,
            **MOUNTS,
            **NETWORK,
            "gpu": True,
            "gpu_vram": 1024,
            "smolfile": "box.toml",
            "ssh_agent": True,
            "docker_config": True,
        },
        [{"detach": True, "name": "box"}],
    ),
    "machine_cp": (("./file", "box:/file"), {}, []),
    "upload": (("-file", "box:/file"), {}, []),
    "download": (("box:/file", "/no/such/folder/file"), {}, []),
    "pack_create": (
        ("alpine", "out"),
        {
            "cpus": 2,
            "mem": 512,
            "oci_platform": "linux/arm64",
            "entrypoint": "-c",
            "no_sign": True,
            "single_file": True,
            "smolfile": "box.toml",
            "gpu": True,
            "stub": "stub",
            "lib_dir": "lib",
            "rootfs_dir": "rootfs",
        },
        [],
    ),
    "pack_run": (
        (["true", "-x"],),
        {
            "sidecar": "box.smolmachine",
            **GUEST,
            **SIZES,
            **MOUNTS,
            "net": True,
            "net_backend": "virtio-net",
            "force_extract": True,
            "info": True,
            "debug": True,
        },
        [],
    ),
    "pack_push": (("registry.example/box:1", "box.smolmachine"), {}, []),
    "pack_pull": (("registry.example/box:1",), {"output": "box.smolmachine"}, []),
    "pack_inspect": (("registry.example/box:1",), {}, []),
    "pack_prune": ((), {"keep": 2, "dry_run": True}, [{"everything": True}]),
    "config_show": ((), {}, []),
    "config_registries_path": ((), {}, []),
    "config_registries_show": ((), {}, []),
    "config_registries_init": ((), {}, []),
    "config_registries_edit": ((), {}, []),
}

MORE = [
    ("machine_run", (), {}),
    ("pack_run", (), {}),
    ("pack_create", (None, "out"), {"from_vm": "box"}),
]

# (command, positional arguments, keyword arguments): without any, each alone, all together.
CALLS = [
    (command, args, kwargs)
    for command, (args, together, others) in COMMANDS.items()
    for kwargs in chain([{}], ({key: given} for key, given in together.items()), [together], others)
    if not (command == "machine_resize" and not kwargs)
] + MORE
