"""The dependency rules between rooms, which `make check` verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from examples.catalogue.project import project
from mscr.checks.houses import KIT_LAYERS, Houses
from mscr.checks.rooms import (
    MAX_LINES_OF_A_FILE,
    MAX_LINES_OF_APP,
    PICTURE,
    draw_picture,
    figures,
    find_faults,
    find_faults_of_size,
    main,
)
from mscr.checks.rooms_picture import draw, rooms_by_importer


def build(root: Path, **modules: str) -> Houses:
    """Create packages from modules, whose names have two underscores for each dot."""
    for name, text in modules.items():
        file = (root / name.replace("__", "/")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
        file.write_text(text)
    return Houses(root, "app")


def build_path(root: Path) -> Houses:
    """Create houses with the imports on the path of a request, and a module in every room."""
    return build(
        root,
        **{f"mscr__{room}__a": "" for room in KIT_LAYERS if room != "main"},
        mscr__application="from mscr.http.path import refuse",
        mscr__http__path="from mscr.server.a import serve",
        app__routers__a="from app.services.a import Service\nfrom mscr.http.a import Router",
        app__services__a="from app.repositories.a import Repository",
        app__repositories__a="from mscr.repositories.path import OwnedRepository",
        mscr__repositories__path="from mscr.queries.path import Query",
        mscr__queries__path="from mscr.db.a import Session",
    )


def test_imports_that_point_down_are_no_fault(tmp_path: Path) -> None:
    houses = build(
        tmp_path,
        app__routers__notes="from app.services.note_service import NoteService, Other",
        app__services__note_service="from mscr.core.config import Settings",
        mscr__core__config="",
    )

    assert find_faults(houses) == []
    assert [(each.source, each.target, each.names) for each in houses.arrows()] == [
        ("app.routers", "app.services", 2),
        ("app.services", "mscr.core", 1),
    ]


def test_the_dependencies_of_routes_are_part_of_the_routers(tmp_path: Path) -> None:
    houses = build(
        tmp_path,
        app__core__dependencies="from app.services.a import Service",
        app__services__a="",
    )

    assert [(each.source, each.target) for each in houses.arrows()] == [
        ("app.routers", "app.services")
    ]


@pytest.mark.parametrize(
    ("importer", "statement", "fault"),
    [
        (
            "mscr__core__a",
            "from app.core.config import Settings",
            "the kit imports the app",
        ),
        ("app__main", "from mscr.core.config import _secret", "imports private names"),
        ("mscr__garage__a", "", "unknown room mscr.garage"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, importer: str, statement: str, fault: str) -> None:
    houses = build(
        tmp_path, **{importer: statement, "app__core__config": "", "mscr__core__config": ""}
    )

    [found] = find_faults(houses)

    assert fault in found


def test_an_application_may_grow_and_have_rooms_of_its_own(tmp_path: Path) -> None:
    """Only the template itself has size limits."""
    houses = build(
        tmp_path,
        app__garage__a="from app.core.b import c",
        app__core__b="\n" * (MAX_LINES_OF_A_FILE + 1),
    )

    assert find_faults(houses) == []
    [fault] = find_faults_of_size(houses)
    assert fault.startswith("app.core.b has ")


def test_an_upward_import_counts_even_within_a_function(tmp_path: Path) -> None:
    text = "def get():\n    from mscr.cli.console import say"
    rooms = ("core", "db", "models", "schemas")
    houses = build(tmp_path, **{f"mscr__{room}__a": text for room in rooms}, mscr__cli__console="")

    first, *arrows = find_faults(houses)

    assert first == "mscr: 4 arrows point up, but at most 2 may"
    assert "mscr.core imports 1 names of mscr.cli: mscr.core.a" in arrows[0]


def test_a_cycle_counts_once(tmp_path: Path) -> None:
    following = {"a": "b", "b": "c", "c": "a", "d": "a"}
    houses = build(
        tmp_path,
        **{
            f"mscr__core__{one}": f"from mscr.core import {other}"
            for one, other in following.items()
        },
    )

    assert houses.cycles("mscr") == [{"mscr.core.a", "mscr.core.b", "mscr.core.c"}]


def test_the_diagram_has_every_room_and_no_path_without_imports(tmp_path: Path) -> None:
    houses = build_path(tmp_path)
    rooms = {houses.room_of(module) for module in houses.files}

    picture = draw_picture(houses)

    assert {room.partition(".")[2] for room in rooms} >= set(KIT_LAYERS)
    for room in rooms:
        assert f">{room.partition('.')[2]}: " in picture
    with pytest.raises(ValueError, match="no import between"):
        draw("app", rooms, rooms_by_importer([("mscr.server", "mscr.http")]))


def test_faults_name_the_package_of_the_application(tmp_path: Path) -> None:
    """The rules apply to a second application on the kit too."""
    build(
        tmp_path,
        catalogue__core__a="from catalogue.services.b import C",
        catalogue__services__b="",
        mscr__core__a="from catalogue.core.a import C",
    )

    up, _, imported = find_faults(Houses(tmp_path, "catalogue"))

    assert up == "catalogue: 1 arrows point up, but at most 0 may"
    assert imported.startswith(
        "the kit imports the app: mscr.core imports 1 names of catalogue.core"
    )


def test_the_template_has_a_limit_of_lines(tmp_path: Path) -> None:
    houses = build(tmp_path, app__core__a="\n" * (MAX_LINES_OF_APP + 1))

    assert find_faults_of_size(houses)[0].startswith(f"app has {MAX_LINES_OF_APP + 1} lines")


def test_excess_import_cycles_are_named(tmp_path: Path) -> None:
    houses = build(tmp_path, mscr__core__a="import mscr.core.b", mscr__core__b="import mscr.core.a")

    assert find_faults(houses) == [
        "mscr: 1 cycles of imports, but at most 0 are allowed",
        "    mscr.core.a, mscr.core.b",
    ]


def test_an_outdated_diagram_is_a_fault_of_the_template_until_it_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    houses = build_path(tmp_path)
    copied = replace(project, root=tmp_path, package="app")
    picture = tmp_path / PICTURE
    picture.parent.mkdir(parents=True)
    picture.write_text("old")

    main(copied, [])
    with pytest.raises(SystemExit, match="the picture is out of date"):
        main(copied, ["--template"])
    main(copied, ["--write", "--template"])

    assert picture.read_text() == draw_picture(houses)
    assert "arrows between its rooms" in capsys.readouterr().out


def test_the_tests_of_the_kit_have_neither_a_room_nor_limits(tmp_path: Path) -> None:
    houses = build(
        tmp_path,
        app__core__config="",
        app__tests__a="",
        mscr__core__config="",
        mscr__tests__test_config="import app.core.config\nfrom mscr.core.config import _secret",
    )

    assert find_faults(houses) == []
    assert sorted(houses.files) == [
        *("app", "app.core", "app.core.config", "app.tests", "app.tests.a"),
        *("mscr", "mscr.core", "mscr.core.config"),
    ]
    assert [line.split(",")[0] for line in figures(houses)] == [
        "app: 0 lines in 5 files",
        "mscr: 0 lines in 3 files",
    ]
