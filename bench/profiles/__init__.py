"""What one thing consists of, a file each; ``--profile NAME`` takes them, and no run of lines."""
