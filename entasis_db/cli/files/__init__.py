"""Commands about files of markets that somebody else publishes."""
