"""Parts leave Python source, and the rest stays as ruff formats it."""

import subprocess
import sys
from textwrap import dedent

import pytest

from mscr.scaffold.python_source import without

GONE = {
    "modules": ["shop.thing"],
    "elements": ["Kind.THING", "'thing'"],
    "statements": ["add(thing)"],
}


def trimmed(source: str) -> str:
    return without(dedent(source).lstrip("\n"), **GONE).source


def expected(source: str) -> str:
    return dedent(source).lstrip("\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import shop.thing\nimport sys\n\nsys.exit()\n", "import sys\n\nsys.exit()\n"),
        ("from shop.thing import Thing\n", ""),
        ("from shop import other, thing\n", "from shop import other\n"),
        ("from shop import thing, other\n", "from shop import other\n"),
        ("from shop import thing as one\n", ""),
        ("from . import thing\n", "from . import thing\n"),
        (
            "from shop import (\n    other,\n    thing,  # ours\n)\n",
            "from shop import (\n    other,\n)\n",
        ),
    ],
)
def test_imports_of_removed_modules_go(before: str, after: str) -> None:
    assert trimmed(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('A = {"a", "thing", "b"}\n', 'A = {"a", "b"}\n'),
        ('A = ("a", "thing")\n', 'A = ("a",)\n'.replace(",)", ")")),
        ('A = ["thing"]\n', "A = []\n"),
        ('A = {"thing": 1}\n', "A = {}\n"),
        ('A = {\n    "thing": [\n        1,\n    ],\n}\n', "A = {}\n"),
        (
            "A = {\n    Kind.THING: 1,\n    **B,\n    Kind.A: 2,\n}\n",
            "A = {\n    **B,\n    Kind.A: 2,\n}\n",
        ),
        ('A = {"é": 1, "thing": 2}\n', 'A = {"é": 1}\n'),
    ],
)
def test_elements_and_rows_go_with_their_commas(before: str, after: str) -> None:
    assert trimmed(before) == after


def test_exported_names_go_with_their_imports_and_other_texts_stay() -> None:
    before = """
        from shop.other import Other
        from shop.thing import Thing

        __all__ = [
            "Other",
            "Thing",
        ]
        TEXTS = ["Thing"]
    """
    after = """
        from shop.other import Other

        __all__ = [
            "Other",
        ]
        TEXTS = ["Thing"]
    """

    assert trimmed(before) == expected(after)


def test_imports_that_only_the_parts_used_go_too() -> None:
    before = """
        import os
        from typing import Any, cast

        from shop.parts import B
        from shop.thing import Thing

        A: Any = [
            B.THING,
            1,
        ]


        def run() -> None:
            add( thing )
            os.abort()
    """
    source = without(expected(before), modules=["shop.thing"], elements=["B.THING"]).source

    assert source == expected(
        """
        import os
        from typing import Any, cast

        A: Any = [
            1,
        ]


        def run() -> None:
            add( thing )
            os.abort()
        """
    )


def test_the_longer_run_of_blank_lines_stays() -> None:
    before = """
        import os

        from shop.thing import Thing


        def run() -> None:
            os.abort()

            add(thing)


        def stop() -> None: ...

        add(thing)
    """
    after = """
        import os


        def run() -> None:
            os.abort()


        def stop() -> None: ...
    """

    assert trimmed(before) == expected(after)


def test_an_empty_block_goes_with_its_if_or_gets_a_pass() -> None:
    before = """
        if TYPE_CHECKING:
            from shop.thing import Thing
        A = 1
        if A:
            add(thing)
        else:
            A = 2


        def run() -> None:
            add(thing)
    """
    after = """
        A = 1
        if A:
            pass
        else:
            A = 2


        def run() -> None:
            pass
    """

    assert trimmed(before) == expected(after)


def test_a_member_of_a_class_is_reported_by_its_name() -> None:
    source = "class Kind:\n    A = 1\n    THING = 2\n"

    found = without(source, statements=["THING = 2"])

    assert found.source == "class Kind:\n    A = 1\n"
    assert found.members == {"Kind.THING"}


def test_source_without_the_parts_is_unchanged() -> None:
    source = 'import unused\n\nA = {  "b" : 1}\n'

    assert trimmed(source) == source


def test_ruff_would_change_nothing() -> None:
    source = 'from shop import (\n    other,\n    thing,\n)\n\nA = {\n    "thing": other,\n}\n'

    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--diff", "-"],
        input=trimmed(source),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")
