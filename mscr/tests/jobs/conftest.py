import pytest
from fastapi import FastAPI

from mscr.db.session import Database
from mscr.tests.jobs.bench import Bench


@pytest.fixture
def bench(app: FastAPI, database: Database) -> Bench:
    return Bench(app, database)
