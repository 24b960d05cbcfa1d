"""The routes for health probes. Add your own here."""

from mscr.routers.health import router

__all__ = ["router"]
