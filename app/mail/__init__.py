"""The words of mails: NAME.jinja for each, and the frame of their HTML. See docs/mail.md."""
