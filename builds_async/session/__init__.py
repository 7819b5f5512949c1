"""The session layer: everything between a method call and a decoded result."""
