import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, signal, infra
async def work():
    print("ready", flush=True)
    await asyncio.sleep(60)
{end}
"""
CHECKOUT = Path(__file__).parents[3]


def test_ctrl_c_shows_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(end="asyncio.new_event_loop().run_until_complete(work())")],
        cwd=CHECKOUT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - one thread
    ) as program:  # fmt: skip
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    assert program.returncode != 0
    assert said == ""


def test_any_other_exception_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end="raise ValueError('of a test')")],
        cwd=CHECKOUT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert "ValueError: of a test" in done.stderr
