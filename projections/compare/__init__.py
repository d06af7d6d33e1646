"""Two generations side by side: what differs, and which events explain it."""
