"""A transaction's tries, one after the other, until one counts: what is done about each error of FoundationDB.

Source: FoundationDB's documentation, Error codes, and Developer guide (transactions with unknown results).
"""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from perdure.base.errors import CommitUnknown, StoreError
from perdure.store.fdb.binding import Binding, NativeDatabase, NativeTransaction
from perdure.store.fdb.conflicts import conflicting_key
from perdure.store.fdb.counters import MAYBE_COMMITTED, NOT_COMMITTED, TOO_LARGE, TOO_OLD, StoreCounters
from perdure.store.fdb.options import COMMIT_BYTES_MAX, FdbOptions, configure_database, configure_try
from perdure.store.fdb.transaction import FdbSnapshot, FdbTransaction
from perdure.store.fdb.versions import CommitVersions
from perdure.store.interface import ReadTransaction, Transaction

T = TypeVar("T")
Try = Callable[["Run"], T]
"""One try of a transaction."""

OUTLIVED_S: Final = 4.0
OUTLIVED_MAX: Final = 3
"""A transaction whose tries live so long and end as too old (FoundationDB keeps a snapshot for five seconds) has so many tries."""


class Run:
    """A transaction on its way through its tries.

    Attributes:
        began_s: When this try began.
        outlived: Tries that lived longer than FoundationDB keeps a snapshot.
        is_first: No try has failed yet.
        is_committing: The commit of this try is sent.
        is_in_doubt: A try has failed that may have committed.
    """

    def __init__(self, native: NativeTransaction) -> None:
        self.native = native
        self.began_s = 0.0
        self.outlived = 0
        self.is_first = True
        self.is_committing = False
        self.is_in_doubt = False


class _Stale(Exception):
    """A try that began at an earlier version may not count: nothing proves that it saw the present."""


class Tries:
    """Carries out transactions, each on the thread that asks for it and until it is done.

    Args:
        binding: The official binding.
        database: Where to.
        options: Priority, tag and timeout of all transactions.
        clock_s: Monotonic seconds.
    """

    def __init__(self, binding: Binding, database: NativeDatabase, options: FdbOptions, clock_s: Callable[[], float]) -> None:
        self.counters = StoreCounters()
        self._error = binding.FDBError
        self._database = database
        self._options = options
        self._clock_s = clock_s
        self._versions = CommitVersions(clock_s)
        self._under_way: set[NativeTransaction] = set()
        self._is_given_up = False
        configure_database(database, options)

    def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` and commit. Raises what `Store.transact` does."""
        return self._carry_out(lambda run: self._try_to_commit(run, fn))

    def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        """Run `fn` on a snapshot."""
        return self._carry_out(lambda run: fn(FdbSnapshot(run.native.snapshot)))

    def give_up(self) -> None:
        """Let everything that is under way fail, and what comes later; from any thread."""
        self._is_given_up = True
        for native in list(self._under_way):
            native.cancel()

    def _carry_out(self, attempt: Try[T]) -> T:
        native = self._database.create_transaction()
        self._under_way.add(native)
        try:
            return self._until_one_counts(Run(native), attempt)
        finally:
            self._under_way.discard(native)

    def _until_one_counts(self, run: Run, attempt: Try[T]) -> T:
        while not self._is_given_up:
            configure_try(run.native, self._options)
            run.began_s = self._clock_s()
            try:
                value = attempt(run)
            except _Stale:
                self.counters.stale_starts += 1
                run.native.reset()
            except self._error as error:
                self._recover(run, error)
            else:
                self.counters.transactions += 1
                return value
            run.is_first = run.is_committing = False
        raise _failure(run, "the store is closed")

    def _try_to_commit(self, run: Run, fn: Callable[[Transaction], T]) -> T:
        native = run.native
        version = self._versions.usable() if run.is_first else None
        if version is not None:
            self.counters.cached_starts += 1
            native.set_read_version(version)
        try:
            value = fn(FdbTransaction(native))
        except self._error:
            raise
        except Exception:
            if version is not None:
                raise _Stale from None
            raise
        run.is_committing = True
        native.commit().wait()
        committed = native.get_committed_version()
        if committed >= 0:
            self._versions.note(committed)
        elif version is not None:
            raise _Stale
        return value

    def _recover(self, run: Run, error: Exception) -> None:
        """Let `on_error` wait as the cluster wishes and reset the transaction, where another try makes sense.

        It does after a conflict, after a snapshot became too old, and after `commit_unknown_result`, when it has made sure that the
        lost commit cannot happen later any more.
        """
        code = cast("int", getattr(error, "code"))  # noqa: B009 - declared by a binding that has no types.
        self.counters.count_error(code)
        if code == NOT_COMMITTED:
            self.counters.count_conflict(conflicting_key(run.native, self._error))
        run.outlived += code == TOO_OLD and self._clock_s() - run.began_s > OUTLIVED_S
        if run.outlived == OUTLIVED_MAX:
            raise _failure(run, f"FoundationDB failed the transaction: it took longer than five seconds, {OUTLIVED_MAX} times") from error
        run.is_in_doubt |= run.is_committing and code in MAYBE_COMMITTED
        try:
            run.native.on_error(code).wait()
        except self._error as fatal:
            detail = f": it has more than {COMMIT_BYTES_MAX} bytes, keys and conflicts included" if code == TOO_LARGE else ""
            raise _failure(run, f"FoundationDB failed the transaction: {fatal}{detail}") from error


def _failure(run: Run, message: str) -> StoreError:
    return CommitUnknown(message) if run.is_in_doubt else StoreError(message)
