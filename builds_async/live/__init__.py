"""What goes on for longer than a call. Written against small Protocols; knows no HTTP."""
