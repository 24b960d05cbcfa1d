"""The command `rename-project`, in a small project."""

import pytest

from mscr.tests.scaffold.project import Shop, texts

RENAME = "rename-project"
NAME = "Café & Blue 100%"


def test_the_name_is_changed_everywhere(shop: Shop) -> None:
    unit = shop.root / "deploy/backend.service"
    unit.write_text("[Unit]\nDescription=Old\n")

    finished = shop.run(RENAME, NAME, "--yes")

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"renamed the project to {NAME}, in .env.example, README.md,")
    renamed = texts(shop.root)
    assert renamed["README.md"].startswith(f"# {NAME}\n\nIt has")
    assert f'default="{NAME}",' in renamed["shop/core/config.py"]
    assert 'name = "caf-blue-100"\n' in renamed["pyproject.toml"]
    assert 'name = "other"\n' in renamed["pyproject.toml"]
    assert f'title="caf-blue-100" image.description="{NAME}"' in renamed["deploy/Dockerfile"]
    assert "Description=Café & Blue 100%%\n" in renamed["deploy/backend.service"]
    for file, command in ((".env.example", "env-example"), ("openapi.json", "openapi")):
        assert renamed[file] == f"{command} ['users', 'things'] {NAME}\n"


def test_it_can_be_renamed_again_and_back(shop: Shop) -> None:
    shop.run(RENAME, "Shop", "--yes")
    before = texts(shop.root)

    shop.run(RENAME, NAME, "--yes")
    shop.run(RENAME, "Shop", "--yes")

    assert texts(shop.root) == before


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    before = texts(shop.root)

    finished = shop.run(RENAME, NAME, "--dry-run")

    assert f"+# {NAME}\n" in finished.stdout
    assert texts(shop.root) == before


@pytest.mark.parametrize("name", ["", " A", "A ", 'A"B', "A\\B", "A\nB", "$A", "&", "a" * 81])
def test_a_name_that_a_file_cannot_hold_is_refused(shop: Shop, name: str) -> None:
    before = texts(shop.root)

    finished = shop.run(RENAME, name, "--yes")

    assert finished.returncode == 1
    assert "a name has a letter or digit, at most 80 characters" in finished.stderr
    assert texts(shop.root) == before


def test_settings_without_the_name_are_named(shop: Shop) -> None:
    shop.edit("shop/core/config.py", "APP_NAME", "NAME")
    before = texts(shop.root)

    finished = shop.run(RENAME, NAME, "--yes")

    assert "shop/core/config.py has no APP_NAME: copy its field from" in finished.stderr
    assert texts(shop.root) == before


def test_an_application_that_would_not_start_is_left_as_it_is(shop: Shop) -> None:
    shop.edit("shop/main.py", "ROUTERS", "1 / 0\nROUTERS")
    before = texts(shop.root)

    finished = shop.run(RENAME, NAME, "--yes")

    assert "with this name, the application does not start: ZeroDivision" in finished.stderr
    assert texts(shop.root) == before
