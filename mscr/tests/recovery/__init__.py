"""Forgotten passwords, proved addresses and changes of address, by mailed links."""
