"""The file under a Store: opened, created or migrated safely, read and written by several processes at once.

A file that is no league, or a league of a newer version, is refused before anything of it is changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from arena import migrations
from envs.errors import ArenaError, UsageError

BUSY_SECONDS = 30.0
LOCK_SECONDS = 60.0
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_opening = threading.RLock()
_in_use: Counter[tuple[int, int]] = Counter()
"""The files that this process has connections to, by device and inode. Nothing but SQLite may open and close them: the
system takes a process all its locks on a file when it closes any descriptor of it, and whoever else has the league open
would then tidy away a journal that is still written to."""


class LeagueFile:
    """One connection to a league; several threads of a process may share it.

    Args:
        path: the file.
        create: make the file where it is missing; else a missing file is a UsageError.

    Raises:
        UsageError: the path is no league, or there is none and none shall be made; nothing has been changed.
        ArenaError: a newer Arena made the file, or it cannot be opened.
    """

    def __init__(self, path: str | Path, create: bool = True) -> None:
        self.path = Path(path).absolute()
        self._lock = threading.RLock()
        self._identity: tuple[int, int] | None = None
        with _opening:
            self._open(create)

    def _open(self, create: bool) -> None:
        exists = _inspect(self.path)
        if not exists and not create:
            raise UsageError(f"{self.path} does not exist yet; `arena train GAME` or `arena play GAME` creates it")
        if not exists or not self._is_up_to_date():
            try:
                with self.errors():
                    self._migrate()
            except ArenaError as error:
                older = "; an older Arena made it, and opening it brings it up to date" if exists else ""
                raise ArenaError(f"{error}{older}") from error
        with self.errors():
            self._connection = self._connect("rw")
            self._identity = _identity(self.path)
        _in_use[self._identity] += 1

    def close(self) -> None:
        with self._lock:
            self._connection.close()
            identity, self._identity = self._identity, None
        if identity is not None:
            with _opening:
                _in_use[identity] -= 1
                if not _in_use[identity]:
                    del _in_use[identity]

    def rows(self, sql: str, *arguments: Any) -> list[sqlite3.Row]:
        """All rows of one query."""
        with self._lock, self.errors():
            return self._connection.execute(sql, arguments).fetchall()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see one moment of the file."""
        yield from self._transaction("BEGIN")

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is written, or, if anything is raised, nothing."""
        yield from self._transaction("BEGIN IMMEDIATE")

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The bare connection, for statements that cannot run in a transaction."""
        with self._lock, self.errors():
            yield self._connection

    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self.errors():
            connection = self._connection
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into one line that says what to do."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise ArenaError(f"{self.path}: refused: {error}") from error
        except sqlite3.OperationalError as error:
            raise ArenaError(f"{self.path}: {_advice(str(error))}") from error
        except sqlite3.DatabaseError as error:
            raise ArenaError(f"{self.path} is damaged ({error}); restore a backup made by `arena db backup`") from error
        except OverflowError as error:
            raise UsageError(f"{self.path}: whole numbers in a league have at most 63 bits") from error
        except OSError as error:
            raise ArenaError(f"{self.path}: {error.strerror or error}") from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        """`mode` is SQLite's: "ro" changes nothing, "rw" needs the file, "rwc" may make it."""
        uri = f"file:{quote(str(self.path))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _is_up_to_date(self) -> bool:
        """Whether every migration has been applied. Changes nothing; refuses files of a newer Arena."""
        # A writer that closes tidies away the journal it made; a journal that is there already is not ours to touch.
        mode = "ro" if self.path.with_name(self.path.name + "-wal").exists() else "rw"
        with self.errors(), contextlib.closing(self._connect(mode)) as connection:
            applied = migrations.applied(connection)
        unknown = [name for name in applied if name not in migrations.LATEST]
        if unknown:
            raise ArenaError(
                f"{self.path} was made by a newer Arena (it has {unknown[-1]!r}); upgrade Arena to open it"
            )
        return len(applied) == len(migrations.LATEST)

    def _migrate(self) -> None:
        """Create or migrate under the lock, unless another process did it while we waited."""
        with _file_lock(self.path.with_name(self.path.name + ".lock")):
            if _inspect(self.path) and self._is_up_to_date():
                return
            with contextlib.closing(self._connect("rwc")) as connection:
                if not migrations.applied(connection):
                    connection.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
                migrations.migrate(connection)
                connection.execute("PRAGMA journal_mode = WAL")


def _inspect(path: Path) -> bool:
    """Whether a league lies at `path`; False: nothing or an empty file. All else is refused. Changes nothing."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it, such as {path / 'league.db'}")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        if not path.exists():
            return False
        if not path.is_file():
            raise UsageError(f"{path} is no regular file; name a league such as league.db")
        if _in_use[_identity(path)]:
            return True
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise ArenaError(f"{path} cannot be read: {error.strerror}") from error
    if not header:
        return False
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise UsageError(f"{path} is no league: it is not a SQLite database; name another file with --db")
    if int.from_bytes(header[68:72], "big") != migrations.APPLICATION_ID:
        raise UsageError(f"{path} is no league: it is another program's SQLite database; name another file with --db")
    return True


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """One process at a time; the file is gone afterwards. A lock on a file removed meanwhile does not count."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        except BlockingIOError:
            pass
        except FileNotFoundError:
            pass
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise ArenaError(f"{path} has been locked for {LOCK_SECONDS:.0f} s by another process")
        time.sleep(0.01)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _advice(message: str) -> str:
    if "full" in message:
        return "the disk is full; nothing was written"
    if "readonly" in message or "read-only" in message:
        return "the file or its folder is write-protected; nothing was written"
    if "locked" in message or "busy" in message:
        return f"another process has kept the file locked for {BUSY_SECONDS:.0f} s; nothing was written"
    if "unable to open" in message:
        return "cannot be opened or created; is its folder writable?"
    return message
