"""Business rules and transactions: one service a resource."""
