"""What only engine citus has: nodes, and shards that move between them."""
