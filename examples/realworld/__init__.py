"""RealWorld's API (Conduit) on the kit alone: an application whose contract is not the kit's."""
