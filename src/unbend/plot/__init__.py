"""One drawing function per Result."""
