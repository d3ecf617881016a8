"""Runs one program, or one function in a child, and says what it cost.

CPU is user and system time of the whole process tree, from wait4: wall time says nothing on a machine with neighbours. A program of
several processes is charged for all of them as long as it collects its children, which quire does. Peak memory is that of the
largest process of the tree.
"""

import os
import resource
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass

# The goals allow 20 s of CPU; what takes more is stopped a little later, so that the table can show that it took more.
CPU_LIMIT_S = 30
WALL_LIMIT_S = 60
ADDRESS_LIMIT = 8 << 30


@dataclass
class Run:
    """What a run left behind."""

    ok: bool
    output: bytes
    message: str
    cpu_s: float
    rss_mib: float
    # Ended by a signal: a crash, or one of our limits.
    killed: bool

    @property
    def text(self):
        return self.output.decode("utf-8", "replace")


def program(argv, cpu_s=CPU_LIMIT_S):
    """Runs `argv`; its standard output is the output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            preexec_fn=lambda: _limit(cpu_s),
        )
        status, usage = _wait(child.pid)
        child.returncode = 0  # collected by wait4; Popen must not look for it again
        return _run(status, usage, _content(out), _content(err))


def function(call, *arguments, cpu_s=CPU_LIMIT_S):
    """Runs `call` in a forked child, so that a crash costs one file and interpreter start and imports are not charged."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _child(call, arguments, out, err, cpu_s)
        status, usage = _wait(pid)
        return _run(status, usage, _content(out), _content(err))


def _child(call, arguments, out, err, cpu_s):
    code = 1
    try:
        os.setsid()
        _limit(cpu_s)
        os.dup2(err.fileno(), 1)
        os.dup2(err.fileno(), 2)
        out.write((call(*arguments) or "").encode("utf-8", "replace"))
        out.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever a peer raises is its answer
        err.write(f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:500])
        err.flush()
    finally:
        os._exit(code)


def _limit(cpu_s):
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_LIMIT, ADDRESS_LIMIT))


def _wait(pid):
    def stop():
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    timer = threading.Timer(WALL_LIMIT_S, stop)
    timer.start()
    try:
        _, status, usage = os.wait4(pid, 0)
    finally:
        timer.cancel()
    return status, usage


def _content(file):
    file.seek(0)
    return file.read()


def _run(status, usage, output, message):
    return Run(
        ok=os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0,
        output=output,
        message=message.decode("utf-8", "replace").strip(),
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mib=usage.ru_maxrss / 1024,
        killed=os.WIFSIGNALED(status),
    )
