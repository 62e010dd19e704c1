"""Health: what is checked, one planted fault after another, and who may look."""
