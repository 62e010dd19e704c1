"""Recovery, tried out on servers made for it."""
