"""The commands: each parses its options, calls `charrnn.api`, and prints."""
