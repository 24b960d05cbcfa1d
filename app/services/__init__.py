"""Business rules and transactions: one service for each resource."""
