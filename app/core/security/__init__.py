"""Tokens, passwords, encryption and the keys they need."""
