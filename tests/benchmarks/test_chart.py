"""Charts of benchmarks: axes, ticks and curves."""

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


def test_a_chart_labels_its_axes_ticks_and_curves() -> None:
    picture = drawn(Axis("items", is_logarithmic=True), Axis("ms"))

    assert texts(picture) == [
        *("Growth", "items", "ms"),
        *("0", "5", "10", "15", "20"),
        *("1,000", "10,000", "100,000", "1,000,000"),
        *("a < b", "level"),
    ]


def test_points_are_placed_by_the_scale_of_their_axes() -> None:
    logarithmic = drawn(Axis("items", is_logarithmic=True), Axis("ms", is_logarithmic=True))
    linear = drawn(Axis("items", is_logarithmic=True), Axis("ms"))

    (_, low), (_, high), _ = places(logarithmic)
    assert [x for x, _ in places(logarithmic)] == [LEFT, RIGHT, LEFT]
    assert BOTTOM > low > high > TOP
    # The lowest value on the axis from 1 to 100, and the highest from 0 to 20.
    assert places(logarithmic)[2][1] == BOTTOM
    assert places(linear)[1][1] == TOP


def test_a_logarithmic_axis_of_one_value_has_two_ticks() -> None:
    assert Axis("ms", is_logarithmic=True).steps([10.0]) == [10.0, 100.0]
