"""Executes the tasks of ``regrow rebuild``, several at a time, and shows how far they are."""

import contextlib
import signal
import sys
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from regrow.cli.output import show
from regrow.rebuild.execute import Context, TaskResult, execute
from regrow.rebuild.processes import Processes
from regrow.system import directories
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.rebuild.plan import Task

_INTERVAL = 0.1  # seconds between two looks at what has ended


def execute_all(
    tasks: "Sequence[Task]",
    configuration: "Configuration",
    *,
    jobs: int,
    seconds: float,
    is_silent: bool,
) -> list[TaskResult]:
    """Execute tasks without a problem, and print what became of each as soon as it has ended.

    There are *jobs* at a time, and each command may take so many *seconds*. With *is_silent* only
    the progress is shown, on a terminal.

    Returns:
        The results, in the order in which they ended. After a signal the rest is interrupted.
    """
    processes = Processes(seconds)
    context = Context(configuration, processes, directories.logs())
    results: list[TaskResult] = []
    begun: list[str] = []

    def run(task: "Task") -> TaskResult:
        begun.append(task.path)
        try:
            return execute(task, context)
        finally:
            begun.remove(task.path)

    def progress() -> str:
        lines = (f"rebuilding {show(path)}" for path in sorted(begun))
        return "\n".join((f"{len(results)} of {len(tasks)}", *lines))

    with _signals_interrupt(), _shown(progress), ThreadPoolExecutor(jobs) as pool:
        waiting: list[Future[TaskResult]] = []

        def gather(timeout: float | None = None) -> None:
            done, _ = wait(waiting, timeout=timeout, return_when=FIRST_COMPLETED)
            for future in [future for future in waiting if future in done]:
                waiting.remove(future)
                results.append(future.result())
                if not is_silent:
                    _print_result(results[-1])

        try:
            for task in tasks:
                waiting.append(pool.submit(run, task))
            while waiting:
                gather(_INTERVAL)
        except BaseException as error:
            processes.stop()
            if not isinstance(error, KeyboardInterrupt):
                raise
            while waiting:
                gather()
    return results


@contextlib.contextmanager
def _shown(lines: "Callable[[], str]") -> "Iterator[None]":
    """Show lines on a terminal while the block runs; they are asked for again and again."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Live(
        get_renderable=lambda: Text(lines()),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield


def _print_result(result: TaskResult) -> None:
    for record in result.task.records:
        print(f"{result.outcome}  {show(record.path)}", flush=True)
    for line in result.detail:
        print(f"    {show(line)}", flush=True)
    if result.detail and result.log:
        print(f"    the log: {show(result.log)}", flush=True)


@contextlib.contextmanager
def _signals_interrupt() -> "Iterator[None]":
    """Let the signals that end a program interrupt the rebuild, which tidies up."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    caught = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
