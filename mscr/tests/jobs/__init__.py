"""Tests of the outbox and of the runner of jobs."""
