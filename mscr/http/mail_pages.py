"""The page that shows all mails with example values, for development."""

from html import escape
from typing import Final

from fastapi import FastAPI
from starlette.responses import HTMLResponse

from mscr.mail.template_files import MailTemplateError
from mscr.mail.templates import MailTemplates

PATH: Final = "/docs/mails"
# As in mail programs, no script runs, and nothing is loaded. The frames of mails inherit it.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Mails</title></head>
<body style="font: 16px/1.5 sans-serif; margin: 24px">
<h1>Mails</h1>
{}
</body>
</html>
"""
_MAIL: Final = """\
<h2 id="{name}">{name}</h2>
<p>Subject: <b>{subject}</b></p>
<div style="display: flex; flex-wrap: wrap; gap: 16px">
<iframe sandbox title="HTML" style="width: 640px; height: 480px" srcdoc="{html}"></iframe>
<pre style="width: 640px; white-space: pre-wrap; overflow-wrap: anywhere">{text}</pre>
</div>
"""
_FAULT: Final = '<h2 id="{name}">{name}</h2>\n<p style="color: #b00020">{fault}</p>\n'


def install_mail_pages(app: FastAPI, prefix: str, mails: MailTemplates) -> None:
    """Serve /docs/mails below this path prefix, if the application has mails."""
    if not mails.folder.is_dir():
        return

    @app.get(f"{prefix}{PATH}", include_in_schema=False)
    async def show_mails() -> HTMLResponse:
        shown = "".join(_shown(mails, name) for name in mails.names())
        headers = {"content-security-policy": _POLICY}
        return HTMLResponse(_PAGE.format(shown), headers=headers)


def _shown(mails: MailTemplates, name: str) -> str:
    try:
        mail = mails.render_example(name)
    except MailTemplateError as error:
        return _FAULT.format(name=escape(name), fault=escape(str(error)))
    return _MAIL.format(
        name=escape(name),
        subject=escape(mail.subject),
        html=escape(mail.html or ""),
        text=escape(mail.text),
    )
