"""`@pytest.mark.settings(...)` of `mscr.testing`."""

import pytest

from mscr.testing.databases import on_sqlite


@on_sqlite
@pytest.mark.settings(ACCES_TOKEN_EXPIRE_MINUTES=1)
@pytest.mark.usefixtures("database_url")
def test_a_misspelt_setting_fails_the_test(request: pytest.FixtureRequest) -> None:
    with pytest.raises(pytest.fail.Exception, match="no such setting: ACCES_TOKEN_EXPIRE_MINUTES"):
        request.getfixturevalue("settings")
