"""The pictures of curves."""

from xml.etree import ElementTree as ET

from benchmarks.chart import BOTTOM, LEFT, RIGHT, TOP, Axis, Chart

SVG = "{http://www.w3.org/2000/svg}"
CURVES = {"a < b": [(1000.0, 2.0), (1_000_000.0, 20.0)], "level": [(1000.0, 1.0)]}


def drawn(x: Axis, y: Axis) -> ET.Element:
    return ET.fromstring(str(Chart("Growth", x, y, CURVES)))  # noqa: S314  # our own


def texts(picture: ET.Element) -> list[str | None]:
    return [text.text for text in picture.iter(f"{SVG}text")]


def places(picture: ET.Element) -> list[tuple[float, float]]:
    return [
        (float(mark.attrib["cx"]), float(mark.attrib["cy"]))
        for mark in picture.iter(f"{SVG}circle")
    ]


def test_a_chart_tells_its_axes_their_steps_and_its_curves() -> None:
    picture = drawn(Axis("items", is_logarithmic=True), Axis("ms"))

    assert texts(picture) == [
        *("Growth", "items", "ms"),
        *("0", "5", "10", "15", "20"),
        *("1,000", "10,000", "100,000", "1,000,000"),
        *("a < b", "level"),
    ]


def test_points_lie_where_their_axes_say() -> None:
    logarithmic = drawn(Axis("items", is_logarithmic=True), Axis("ms", is_logarithmic=True))
    linear = drawn(Axis("items", is_logarithmic=True), Axis("ms"))

    (_, low), (_, high), _ = places(logarithmic)
    assert [x for x, _ in places(logarithmic)] == [LEFT, RIGHT, LEFT]
    assert BOTTOM > low > high > TOP
    # 1 of 1 to 100, and 20 of 0 to 20.
    assert places(logarithmic)[2][1] == BOTTOM
    assert places(linear)[1][1] == TOP


def test_a_logarithmic_axis_of_one_value_has_two_steps() -> None:
    assert Axis("ms", is_logarithmic=True).steps([10.0]) == [10.0, 100.0]
