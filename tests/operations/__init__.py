"""Pages on running a server: what they advise is done, and what they say is measured."""
