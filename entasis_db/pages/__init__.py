"""Pages that open offline: one file of HTML, in which everything from outside is escaped."""
