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
    from collections.abc import Iterator, Sequence

    from rich.text import Text

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
    """Execute tasks, and print what became of each as soon as it has ended.

    Args:
        tasks: the tasks, none with a problem.
        configuration: the user's settings.
        jobs: how many are executed at a time.
        seconds: how long a single command may take.
        is_silent: whether nothing is printed, but for the progress on a terminal.

    Returns:
        The results, in the order in which they ended. After a signal the rest is interrupted.
    """
    processes = Processes(seconds)
    context = Context(configuration, processes, directories.logs())
    results: list[TaskResult] = []
    progress = _Progress(len(tasks))
    with _signals_interrupt(), progress, ThreadPoolExecutor(jobs) as pool:
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
                waiting.append(pool.submit(progress.execute, task, context))
            while waiting:
                gather(_INTERVAL)
        except BaseException as error:
            processes.stop()
            if not isinstance(error, KeyboardInterrupt):
                raise
            while waiting:
                gather()
    return results


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


class _Progress:
    """Shows on a terminal which directories are being rebuilt."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun: set[str] = set()
        self._ended = 0
        self._live: object = None

    def __enter__(self) -> "_Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False, soft_wrap=True)
            live = Live(
                get_renderable=self._lines,
                console=console,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            live.start()
            self._live = live
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()  # type: ignore[attr-defined]

    def _lines(self) -> "Text":
        from rich.text import Text

        begun = "\n".join(f"rebuilding {show(path)}" for path in sorted(self._begun))
        return Text(f"{self._ended} of {self._count}\n{begun}".rstrip())

    def execute(self, task: "Task", context: Context) -> TaskResult:
        """Execute a task, shown while it lasts."""
        self._begun.add(task.path)
        try:
            return execute(task, context)
        finally:
            self._begun.discard(task.path)
            self._ended += 1
