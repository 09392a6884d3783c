# SPDX-License-Identifier: GPL-2.0-only
"""A cluster of Slurm's on this machine, of one node, with daemons of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from kbuildpy.run import run

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
MISSING = [name for name in PROGRAMS if shutil.which(name, path=_SBIN) is None]
"""The programs that are not installed."""


class Slurm:
    """The daemons; `environ` is for those who submit jobs."""

    def __init__(self, place: Path) -> None:
        """Start the daemons, with their files in `place`."""
        self.place = place
        self.host = socket.gethostname().partition(".")[0]
        ports = [_free_port(), _free_port()]
        (place / "munge.key").write_bytes(secrets.token_bytes(1024))
        (place / "munge.key").chmod(0o400)
        lines = {
            "ClusterName": "test",
            "SlurmctldHost": f"{self.host}(127.0.0.1)",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={place}/munge.socket",
            "CredType": "cred/munge",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            "ReturnToService": "2",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "MpiDefault": "none",
            "StateSaveLocation": str(place / "state"),
            "SlurmdSpoolDir": str(place / "spool"),
            "SlurmctldPidFile": str(place / "slurmctld.pid"),
            "SlurmdPidFile": str(place / "slurmd.pid"),
            "SlurmctldLogFile": str(place / "slurmctld.log"),
            "SlurmdLogFile": str(place / "slurmd.log"),
            "SlurmctldPort": str(ports[0]),
            "SlurmdPort": str(ports[1]),
            "NodeName": f"{self.host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN",
            "PartitionName": "main Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
        }
        (place / "slurm.conf").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        self.environ = {**os.environ, "PATH": _SBIN, "SLURM_CONF": str(place / "slurm.conf")}
        munge = [
            f"--{name}={place}/{value}"
            for name, value in (
                ("socket", "munge.socket"),
                ("key-file", "munge.key"),
                ("pid-file", "munged.pid"),
                ("log-file", "munged.log"),
                ("seed-file", "munged.seed"),
            )
        ]
        self._daemon("munged", "--force", "--foreground", *munge)
        _wait_for(lambda: (place / "munge.socket").exists())
        self.controller = self._daemon("slurmctld", "-i", "-D")
        self._daemon("slurmd", "-D", "-N", self.host)
        _wait_for(self._is_idle)

    def _daemon(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.place / f"{words[0]}.out").open("ab") as out:
            process = subprocess.Popen(words, env=self.environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._daemons = [*getattr(self, "_daemons", []), process]
        return process

    def _is_idle(self) -> bool:
        return self._state() == "idle"

    def _works(self) -> bool:
        return self._state() in ("idle", "mixed", "allocated")

    def _state(self) -> str:
        done = run(["sinfo", "--noheader", "--format", "%T"], env=self.environ, check=False, timeout=30)
        return done.text.strip()

    def restart_controller(self) -> None:
        """Kill the controller, and start it again after a while."""
        self.controller.send_signal(signal.SIGKILL)
        self.controller.wait()
        # (squeue itself tries again for ten seconds, slurm.conf(5): MessageTimeout)
        time.sleep(25)
        self.controller = self._daemon("slurmctld", "-D")
        # (it takes the only node for lost until somebody says otherwise, which it refuses until it has asked the node)
        resume = ["scontrol", "update", f"nodename={self.host}", "state=resume"]
        _wait_for(lambda: run(resume, env=self.environ, check=False, timeout=30).returncode == 0 or self._works())

    def resume(self) -> None:
        """Do what its administrator does when the controller is back: what it did not save before it was killed makes
        it drain nodes ("Duplicate jobid") and hold tasks, which stay so until somebody says otherwise."""
        for words in (["update", f"nodename={self.host}", "state=resume"], ["release", "1"]):
            run(["scontrol", *words], env=self.environ, check=False, timeout=30)

    def output_of(self, process: subprocess.Popen[str], *, timeout: float) -> tuple[str, str]:
        """What `process` prints until it ends, within `timeout` seconds, while the administrator resumes."""
        with ThreadPoolExecutor(1) as pool:
            printed = pool.submit(process.communicate, timeout=timeout)
            while not printed.done():
                self.resume()
                wait([printed], timeout=5)
        return printed.result()

    def end(self) -> None:
        """End all daemons, and what they run."""
        run(["scancel", "--user=root", "--signal=KILL"], env=self.environ, check=False, timeout=30)
        for process in reversed(self._daemons):
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "Slurm does not start"
        time.sleep(0.1)
