import stat
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from rag_app.accounts.chats.tables import CHATS, CONVERSATIONS
from rag_app.accounts.database import Database


def count(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(select(func.count()).select_from(CONVERSATIONS)).scalar_one())


def test_a_new_file_is_begun_where_the_old_one_was_moved_away(tmp_path):
    file = tmp_path / "chats.sqlite"
    database = Database(file, CHATS)
    assert count(database) == 0
    file.rename(tmp_path / "moved")
    assert count(database) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_those_who_open_a_new_file_at_once_all_find_its_tables(tmp_path):
    """Conversations and keys are opened apart, as are those of a command beside the page."""
    many = 8
    ready = threading.Barrier(many)

    def first(database: Database) -> int:
        ready.wait()
        return count(database)

    for attempt in range(5):
        file = tmp_path / str(attempt)
        with ThreadPoolExecutor(many) as threads:
            assert set(threads.map(first, [Database(file, CHATS) for _ in range(many)])) == {0}
