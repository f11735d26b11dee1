"""The live teacher of a run: opened when it is first asked, closed when the run ends.

The ledger lies beside the runs of a task, not inside one of them: another setting is another
run, and an answer that was paid for in the one is not paid for again in the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import TeacherError
from potstill.spec import LoadedTask
from potstill.spec.teacher import Endpoint, Price
from potstill.teacher.request import Asker

if TYPE_CHECKING:
    from potstill.teacher.batch import BatchAsker
    from potstill.teacher.engine import Engine
    from potstill.teacher.ledger import Ledger
    from potstill.teacher.progress import Spending

LEDGER = "ledger.sqlite"
Told = Callable[["Spending"], None]


class Teaching:
    """Opens teachers and judges on one ledger and under one cap.

    Args:
        loaded: the task.
        ledger: file of the ledger.
        cap_usd: the most that this task may cost in all, earlier runs included; None is no cap.
        prices: a price file that goes before the one that ships.
    """

    def __init__(
        self,
        loaded: LoadedTask,
        ledger: Path,
        cap_usd: float | None = None,
        prices: Path | None = None,
    ) -> None:
        self._loaded = loaded
        self._file = ledger
        self._cap_usd = cap_usd
        self._prices = prices
        self._open = ExitStack()
        self._ledger: Ledger | None = None
        self._engines: dict[str, Engine] = {}
        self._batch: BatchAsker | None = None
        self.told: Told | None = None
        self.said: Callable[[str], None] | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger; made when there is none."""
        from potstill.teacher.ledger import Ledger

        if self._ledger is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._ledger = self._open.enter_context(Ledger.open(self._file))
        return self._ledger

    @property
    def teacher(self) -> Engine:
        """Whoever answers this task's rows.

        Raises:
            TeacherError: it cannot be asked.
        """
        spec = self._loaded.task.teacher
        if spec is None or not spec.live:
            raise TeacherError(
                "this task has no live teacher.",
                where=str(self._loaded.path),
                hint="Name a 'model' under 'teacher'.",
            )
        return self._engine("teacher", spec)

    @property
    def judge(self) -> Engine:
        """Whoever judges this task's rows.

        Raises:
            TeacherError: it cannot be asked.
        """
        spec = self._loaded.task.judge
        assert spec is not None, "the task is checked: the filter and the section go together"
        return self._engine("judge", spec)

    def price_of(self, endpoint: Endpoint) -> tuple[Price | None, str]:
        """The price of a teacher or judge, and where it is from and of which day.

        Raises:
            SpecError: the user's price file is none.
            StorageError: it cannot be read.
        """
        from potstill.teacher.prices import quote_for

        quote = quote_for(endpoint, file=self._prices)
        if quote is None:
            return None, "not known; name it in the task ('price') or in a price file"
        dated = f", as of {quote.as_of}" if quote.as_of else ""
        return quote.price, f"{quote.source}{dated}"

    @property
    def bulk(self) -> Asker:
        """Whoever answers many rows: the batch interface where the task asks for it.

        Few rows, as at an audition, are asked one by one: a batch takes hours.
        """
        spec = self._loaded.task.teacher
        if spec is None or not spec.batch:
            return self.teacher
        from potstill.teacher.batch import BatchAsker
        from potstill.teacher.providers.openai_api import open_endpoint

        if self._batch is None:
            provider = open_endpoint(spec)
            rung = self.ledger.noted(f"rung of {provider.identity}") or provider.rungs[0]
            price, _ = self.price_of(spec)
            self._batch = self._open.enter_context(
                BatchAsker(
                    provider,
                    self.ledger,
                    price=price,
                    cap_usd=self._cap_usd,
                    rung=rung,
                    told=self._say,
                )
            )
        return self._batch

    def _engine(self, role: str, endpoint: Endpoint) -> Engine:
        from potstill.teacher.engine import Engine
        from potstill.teacher.providers import open_provider

        if role not in self._engines:
            one_by_one = endpoint.model_copy(update={"batch": False})
            provider = open_provider(one_by_one, resolve=self._loaded.resolve)
            price, _ = self.price_of(one_by_one)
            engine = Engine(
                provider,
                self.ledger,
                price=price,
                cap_usd=self._cap_usd,
                timeout_s=endpoint.timeout_s,
                concurrency=endpoint.concurrency,
                progress=self._tell,
            )
            self._engines[role] = self._open.enter_context(engine)
        return self._engines[role]

    def _say(self, sentence: str) -> None:
        if self.said is not None:
            self.said(sentence)

    def _tell(self, spending: Spending) -> None:
        if self.told is not None:
            self.told(spending)

    def close(self) -> None:
        """Let the teachers and the ledger go."""
        self._open.close()
        self._engines.clear()
        self._batch = None
        self._ledger = None
