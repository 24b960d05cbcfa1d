"""Mails from templates: escaping, links, subjects, and templates that are broken."""

from pathlib import Path
from typing import Any

import pytest

from examples.catalogue.core.config import Settings
from mscr.mail.message import Mail
from mscr.mail.template_files import MailTemplateError
from mscr.mail.templates import KIT_MAILS, MailTemplates

TO = "ada@example.com"
LAYOUT = "<title>{{ subject }}</title>{% for each in paragraphs %}<p>{{ each }}</p>{% endfor %}"
SCRIPT = "<script>alert('x')</script> & 'more'"


@pytest.fixture
def mails(tmp_path: Path) -> MailTemplates:
    (tmp_path / "layout.html.jinja").write_text(LAYOUT)
    for name in KIT_MAILS:
        (tmp_path / f"{name}.jinja").write_text("Subject\nWords")
    settings = Settings.from_env_file(
        None,
        SECRET_KEY="k" * 32,
        JWT_SECRET_KEY="j" * 32,
        APP_NAME="Acme",
        PUBLIC_URL="https://app.example.com",
    )
    return MailTemplates(tmp_path, settings)


def render(mails: MailTemplates, template: str, **values: Any) -> Mail:
    (mails.folder / "note.jinja").write_text(template)
    return mails.render("note", TO, **values)


def fault(mails: MailTemplates, template: str, **values: Any) -> str:
    """Return the message without the folder. It must be one line."""
    with pytest.raises(MailTemplateError) as error:
        render(mails, template, **values)
    [line] = str(error.value).splitlines()
    return line.removeprefix(f"{mails.folder}/")


# --- words


def test_the_first_line_is_the_subject_and_blank_lines_separate_paragraphs(
    mails: MailTemplates,
) -> None:
    mail = render(mails, "Hello {{ who }}\n\nOne\ntwo.\n \n\nThree.\n", who="Ada")

    assert (mail.recipient, mail.subject) == (TO, "Hello Ada")
    assert mail.text == "One\ntwo.\n \n\nThree.\n"
    assert mail.html == "<title>Hello Ada</title><p>One<br>\ntwo.</p><p>Three.</p>"


def test_every_mail_has_the_name_and_the_address_of_the_application(mails: MailTemplates) -> None:
    assert render(mails, "{{ app_name }}\n{{ public_url }}").text == "https://app.example.com\n"
    assert render(mails, "{{ app_name }}\nWords").subject == "Acme"


def test_a_value_is_escaped_in_html_and_stays_as_it_is_in_text(mails: MailTemplates) -> None:
    mail = render(mails, "{{ value }}\n{{ value }}", value=SCRIPT)

    assert (mail.subject, mail.text) == (SCRIPT, f"{SCRIPT}\n")
    escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#39;more&#39;"
    assert mail.html == f"<title>{escaped}</title><p>{escaped}</p>"


def test_words_are_plain_text_and_are_escaped_too(mails: MailTemplates) -> None:
    mail = render(mails, 'A & B\nIf a < b & "c".')

    assert (mail.subject, mail.text) == ("A & B", 'If a < b & "c".\n')
    assert mail.html == "<title>A &amp; B</title><p>If a &lt; b &amp; &#34;c&#34;.</p>"


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028"])
def test_a_value_adds_no_line_to_a_subject(mails: MailTemplates, ending: str) -> None:
    """Header injection."""
    mail = render(mails, "Hello {{ value }}\nWords", value=f"Ada{ending}Bcc: eve@example.com")

    assert mail.subject == "Hello Ada Bcc: eve@example.com"


@pytest.mark.parametrize(
    "control", ["\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"]
)
def test_a_value_does_not_change_the_direction_of_a_subject(
    mails: MailTemplates, control: str
) -> None:
    """The words after it would be shown in another order."""
    mail = render(mails, "Hello {{ value }}\nWords", value=f"Ada{control}moc.live")

    assert mail.subject == "Hello Ada moc.live"


def test_line_breaks_of_a_value_stay_in_both_parts(mails: MailTemplates) -> None:
    mail = render(mails, "Subject\n{{ value }}", value="one\r\ntwo\r\n\r\n<three>")

    assert mail.text == "one\ntwo\n\n<three>\n"
    assert mail.html == "<title>Subject</title><p>one<br>\ntwo<br>\n&lt;three&gt;</p>"


@pytest.mark.parametrize("inserted", ["{{ value }}", "{{ value|upper }}", "{{ value|e }}"])
def test_a_value_begins_no_paragraph(mails: MailTemplates, inserted: str) -> None:
    """Its words would look like ours."""
    mail = render(mails, f"S\nHe said: {inserted}.", value="A\n\nB\n \t\n\x0b\nC")

    assert mail.html == "<title>S</title><p>He said: A<br>\nB<br>\nC.</p>"


@pytest.mark.parametrize("value", ["\nWords", "Words\n", " \r\n\nWords\n \n "])
def test_a_value_begins_no_paragraph_by_the_lines_around_it(
    mails: MailTemplates, value: str
) -> None:
    mail = render(mails, "S\nHe said:\n{{ value }}\nBye.", value=value)

    assert mail.html == "<title>S</title><p>He said:<br>\nWords<br>\nBye.</p>"


def test_the_words_of_a_button_begin_no_paragraph(mails: MailTemplates) -> None:
    template = "S\n{{ button('https://a', value) }}"

    assert str(render(mails, template, value="A\n\nB").html).endswith(
        '<p><a class="button" href="https://a">A<br>\nB</a></p>'
    )


def test_a_value_need_not_be_a_string(mails: MailTemplates) -> None:
    mail = render(mails, "S\n{{ number }} of {{ path }}", number=3, path=Path("a\n\nb"))

    assert mail.html == "<title>S</title><p>3 of a<br>\nb</p>"


def test_a_macro_keeps_its_lines(mails: MailTemplates) -> None:
    template = (
        "S\n{% macro row(each) %}\n- {{ each }}\n{% endmacro %}\n{{ row(1) }}{{ row('<') }}\nBye."
    )
    mail = render(mails, template)

    assert mail.html == "<title>S</title><p>- 1<br>\n- &lt;</p><p>Bye.</p>"


def test_a_template_may_have_loops_comments_and_parts_of_its_own(mails: MailTemplates) -> None:
    (mails.folder / "_footer.jinja").write_text("Bye & thanks")
    template = (
        "Subject\n{# a comment #}\nYours:\n{% for each in items %}\n- {{ each.title }}\n"
        '{% endfor %}\n\n{% include "_footer.jinja" %}'
    )
    mail = render(mails, template, items=[{"title": "a<b"}, {"title": "c"}])

    assert mail.text == "Yours:\n- a<b\n- c\n\nBye & thanks\n"
    assert mail.html is not None
    assert mail.html.endswith("<p>Yours:<br>\n- a&lt;b<br>\n- c</p><p>Bye &amp; thanks</p>")
    assert "_footer" not in mails.names()


def test_a_changed_template_is_rendered_anew(mails: MailTemplates) -> None:
    assert render(mails, "One\nWords").subject == "One"
    assert render(mails, "Another\nWords").subject == "Another"


# --- links


def test_a_link_is_shown_in_text_and_opens_in_html(mails: MailTemplates) -> None:
    url = "https://app.example.com/a?b=1&c=2#token=x"
    mail = render(
        mails, "Subject\n{{ link(url) }}\n{{ button(url, words) }}", url=url, words="<Go>"
    )

    assert mail.text == f"{url}\n<Go>:\n{url}\n"
    escaped = url.replace("&", "&amp;")
    assert f'<a href="{escaped}">{escaped}</a><br>' in str(mail.html)
    assert f'<a class="button" href="{escaped}">&lt;Go&gt;</a>' in str(mail.html)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        'https://a"onclick=x',
        "https://a b",
        "https://a\n\nb",
        "https://a\x00b",
        "https://a\x1bb",
        "https://a\x7f",
        "https://a/\u202emoc.b",
        "",
    ],
)
def test_a_link_to_anything_but_a_page_is_refused(mails: MailTemplates, url: str) -> None:
    assert fault(mails, "Subject\n\n{{ link(url) }}", url=url) == (
        "note.jinja, line 3: a link begins with https://, http:// or mailto:, "
        "and has no spaces or control characters"
    )


# --- faults


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Subject\n\nHello {{ surname }}", "note.jinja, line 3: 'surname' is undefined"),
        ("Hello {{ surname }}\nWords", "note.jinja, line 1: 'surname' is undefined"),
        ("S\n{{ app_name.x }}", "note.jinja, line 2: 'str object' has no attribute 'x'"),
        (
            "S\n\n{% if %}",
            "note.jinja, line 3: Expected an expression, got 'end of statement block'",
        ),
        ("S\n{{ 1 / 0 }}", "note.jinja, line 2: division by zero"),
        ('S\n{% include "_gone.jinja" %}', "_gone.jinja is missing"),
    ],
)
def test_a_broken_template_is_reported_with_its_line(
    mails: MailTemplates, template: str, message: str
) -> None:
    assert fault(mails, template) == message


def test_a_missing_template_is_reported(mails: MailTemplates) -> None:
    with pytest.raises(MailTemplateError, match=r"/gone\.jinja is missing$"):
        mails.render("gone", TO)


def test_a_broken_layout_is_reported_as_the_layout(mails: MailTemplates) -> None:
    (mails.folder / "layout.html.jinja").write_text("\n{{ gone }}")
    assert fault(mails, "S\nWords") == "layout.html.jinja, line 2: 'gone' is undefined"

    (mails.folder / "layout.html.jinja").unlink()
    assert fault(mails, "S\nWords") == "layout.html.jinja is missing"


def test_every_mail_is_checked_with_its_example_values(mails: MailTemplates) -> None:
    assert mails.faults() == {}

    (mails.folder / "note.jinja").write_text("S\n{{ who.name }}")
    assert [*mails.faults()] == ["note"]
    (mails.folder / "examples.toml").write_text('[note]\nwho = { name = "Ada" }\n')
    assert mails.faults() == {}
    assert mails.render_example("note").text == "Ada\n"


def test_broken_example_values_are_reported(mails: MailTemplates) -> None:
    (mails.folder / "examples.toml").write_text("[note\n")

    faults = mails.faults()

    assert {*faults} == {*KIT_MAILS}
    assert all(f"{mails.folder}/examples.toml: " in each for each in faults.values())


def test_a_mail_of_the_kit_that_has_no_template_is_reported(mails: MailTemplates) -> None:
    (mails.folder / "confirm_registration.jinja").unlink()

    assert mails.faults() == {
        "confirm_registration": f"{mails.folder}/confirm_registration.jinja is missing"
    }


def test_an_application_without_mails_has_no_faults(tmp_path: Path, settings: Settings) -> None:
    assert MailTemplates(tmp_path / "none", settings).faults() == {}


def test_the_mails_of_the_catalogue_can_be_rendered(settings: Settings) -> None:
    assert MailTemplates.of(settings).faults() == {}
